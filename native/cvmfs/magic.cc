#include "magic.h"

#include <functional>

namespace thinlayer::cvmfs {
namespace {

struct Asked {
  Repository& repository;
  CatalogTree& tree;
  const std::string& path;
  const Entry& entry;
};

enum class Of { kAny, kHashed, kRegular, kSymlink };

struct Magic {
  Of of;
  std::function<std::string(const Asked&)> value;
};

// "b6c1…-rmd160" of a catalog's object path.
std::string CatalogHash(const Catalog& catalog) {
  std::string hash = catalog.object();
  hash.pop_back();
  return hash.erase(2, 1);
}

std::string Counters(const Catalog& catalog) {
  std::string text = "name,value\n";
  for (const auto& [name, value] : catalog.statistics()) text += name + "," + std::to_string(value) + "\n";
  return text;
}

std::string CatalogCounters(const Asked& asked) {
  bool is_directory = S_ISDIR(asked.entry.mode);
  auto catalog = asked.tree.CatalogOf(is_directory ? asked.path : asked.path.substr(0, asked.path.rfind('/')));
  return "catalog_hash: " + CatalogHash(*catalog) + "\ncatalog_mountpoint: " + catalog->mountpoint() + "\n" +
         Counters(*catalog);
}

std::string Hash(const Entry& entry) { return HashText(entry.hash, entry.Algorithm()); }

std::string ChunkList(const Asked& asked) {
  std::string text = "hash,offset,size\n";
  if (!asked.entry.Has(kFlagChunked)) return text + Hash(asked.entry) + ",0," + std::to_string(asked.entry.size) + "\n";
  for (const Chunk& chunk : asked.entry.chunks) {
    std::string hash = chunk.object;
    hash.pop_back();
    text += hash.erase(2, 1) + "," + std::to_string(chunk.offset) + "," + std::to_string(chunk.size) + "\n";
  }
  return text;
}

std::string ChunkCount(const Asked& asked) {
  return std::to_string(asked.entry.Has(kFlagChunked) ? asked.entry.chunks.size() : 1);
}

std::string Flag(const Entry& entry, EntryFlags flag) { return entry.Has(flag) ? "1" : "0"; }

const std::map<std::string, Magic>& All() {
  static const std::map<std::string, Magic> all = {
      {"user.catalog_counters", {Of::kAny, CatalogCounters}},
      {"user.repo_counters", {Of::kAny, [](const Asked& a) { return Counters(a.tree.root()); }}},
      {"user.nclg", {Of::kAny, [](const Asked& a) { return std::to_string(a.tree.LoadedObjects().size()); }}},
      {"user.ndiropen",
       {Of::kAny, [](const Asked& a) { return std::to_string(a.repository.counters.listings.load()); }}},
      {"user.nopen", {Of::kAny, [](const Asked& a) { return std::to_string(a.repository.counters.opens.load()); }}},
      {"user.revision", {Of::kAny, [](const Asked& a) { return std::to_string(a.tree.revision()); }}},
      {"user.root_hash", {Of::kAny, [](const Asked& a) { return CatalogHash(a.tree.root()); }}},
      {"user.hash", {Of::kHashed, [](const Asked& a) { return Hash(a.entry); }}},
      {"user.chunks", {Of::kRegular, ChunkCount}},
      {"user.chunk_list", {Of::kRegular, ChunkList}},
      {"user.compression",
       {Of::kRegular, [](const Asked& a) -> std::string { return a.entry.IsCompressed() ? "zlib" : "none"; }}},
      {"user.direct_io", {Of::kRegular, [](const Asked& a) { return Flag(a.entry, kFlagDirectIo); }}},
      {"user.external_file", {Of::kRegular, [](const Asked& a) { return Flag(a.entry, kFlagExternal); }}},
      {"user.rawlink", {Of::kSymlink, [](const Asked& a) { return a.entry.symlink; }}},
      {"xfsroot.rawlink", {Of::kSymlink, [](const Asked& a) { return a.entry.symlink; }}},
  };
  return all;
}

bool Has(const Entry& entry, Of of) {
  switch (of) {
    case Of::kAny: return true;
    case Of::kHashed: return !entry.hash.empty();
    case Of::kRegular: return S_ISREG(entry.mode) && (entry.Has(kFlagChunked) || !entry.hash.empty());
    case Of::kSymlink: return S_ISLNK(entry.mode);
  }
  return false;
}

}  // namespace

std::optional<std::string> MagicXattr(Repository& repository, CatalogTree& tree, const std::string& path,
                                      const Entry& entry, const std::string& name) {
  auto magic = All().find(name);
  if (magic != All().end() && Has(entry, magic->second.of)) return magic->second.value({repository, tree, path, entry});
  if (name.compare(0, 5, "user.") != 0) return std::nullopt;
  Xattrs given = repository.magic();
  auto found = given.find(name);
  if (found == given.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> MagicNames(Repository& repository, const Entry& entry) {
  std::vector<std::string> names;
  for (const auto& [name, magic] : All()) {
    if (Has(entry, magic.of)) names.push_back(name);
  }
  for (const auto& [name, value] : repository.magic()) {
    if (All().count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace thinlayer::cvmfs
