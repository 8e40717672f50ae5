#include "layers.h"

#include <algorithm>
#include <unordered_set>

namespace thinlayer::cvmfs {
namespace {

constexpr std::string_view kMark = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kCatalogMarker = ".cvmfscatalog";

bool StartsWith(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

bool IsMark(std::string_view name) { return StartsWith(name, kMark) || name == kCatalogMarker; }

// What `.wh.NAME` deletes; nothing for the other marks, which begin with `.wh..wh.`.
std::string_view DeletedName(std::string_view mark) {
  if (!StartsWith(mark, kMark)) return {};
  std::string_view name = mark.substr(kMark.size());
  return IsFileName(name) && !StartsWith(name, kMark) ? name : std::string_view();
}

bool HasMark(CatalogTree& tree, const std::string& directory, std::string_view mark) {
  return IsFileName(mark) && tree.Find(directory + "/" + std::string(mark)) != nullptr;
}

// Deleted, and made anew in the same layer.
bool IsReplaced(CatalogTree& tree, const std::string& directory) {
  const size_t slash = directory.rfind('/');
  const std::string around = directory.substr(0, slash);
  return IsInLayers(around) && HasMark(tree, around, std::string(kMark) + directory.substr(slash + 1));
}

EntryPtr Whiteout(const Entry& mark, const std::string& directory) {
  auto entry = std::make_shared<Entry>();
  entry->name = DeletedName(mark.name);
  entry->mode = S_IFCHR;
  entry->mtime = mark.mtime;
  entry->uid = mark.uid;
  entry->gid = mark.gid;
  entry->identity = Md5(directory + "/" + entry->name + '\0' + "whiteout");
  return entry;
}

}  // namespace

bool IsInLayers(const std::string& directory) {
  for (std::string_view root : {"/layers", "/.layers"}) {
    if (StartsWith(directory, root) && (directory.size() == root.size() || directory[root.size()] == '/')) return true;
  }
  return false;
}

EntryPtr FindInLayer(CatalogTree& tree, const std::string& directory, const std::string& name) {
  if (IsMark(name)) return nullptr;
  if (EntryPtr entry = tree.Find(directory + "/" + name)) return entry;
  std::string mark = std::string(kMark) + name;
  if (!IsFileName(mark)) return nullptr;
  EntryPtr deletes = tree.Find(directory + "/" + mark);
  return deletes && !IsCutOff(tree, directory) ? Whiteout(*deletes, directory) : nullptr;
}

std::vector<EntryPtr> ListLayer(CatalogTree& tree, const std::string& directory) {
  std::vector<EntryPtr> all = tree.List(directory);
  auto marks = std::stable_partition(all.begin(), all.end(), [](auto& entry) { return !IsMark(entry->name); });
  if (marks == all.end()) return all;
  std::unordered_set<std::string_view> names;
  std::for_each(all.begin(), marks, [&](auto& entry) { names.insert(entry->name); });
  std::vector<EntryPtr> shown(all.begin(), marks);
  if (IsCutOff(tree, directory)) return shown;
  for (; marks != all.end(); ++marks) {
    std::string_view deleted = DeletedName((*marks)->name);
    if (!deleted.empty() && names.count(deleted) == 0) shown.push_back(Whiteout(**marks, directory));
  }
  return shown;
}

bool IsOpaque(CatalogTree& tree, const std::string& directory) {
  return HasMark(tree, directory, kOpaque) || IsReplaced(tree, directory);
}

bool IsCutOff(CatalogTree& tree, std::string directory) {
  for (; IsInLayers(directory); directory.erase(directory.rfind('/'))) {
    if (IsOpaque(tree, directory)) return true;
  }
  return false;
}

bool IsCutOffAround(CatalogTree& tree, const std::string& directory) {
  if (!IsInLayers(directory)) return false;
  return IsReplaced(tree, directory) || IsCutOff(tree, directory.substr(0, directory.rfind('/')));
}

}  // namespace thinlayer::cvmfs
