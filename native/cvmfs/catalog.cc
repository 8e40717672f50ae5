#include "catalog.h"

#include <cerrno>
#include <cstdint>

namespace thinlayer::cvmfs {
namespace {

// In the order of EntryColumns (connections.cc).
enum Column { kHash1, kHash2, kHardlinks, kSize, kMode, kMtime, kFlags, kUid, kGid, kName, kSymlink, kHash, kMtimens, kXattr };

Row ReadRow(const Statement& row) {
  Row read;
  read.hardlinks = row.Integer(kHardlinks);
  read.size = row.Integer(kSize);
  read.mode = row.Integer(kMode);
  read.mtime = row.Integer(kMtime);
  read.mtimens = row.Integer(kMtimens);
  read.flags = row.Integer(kFlags);
  read.uid = row.Integer(kUid);
  read.gid = row.Integer(kGid);
  read.name = row.Bytes(kName);
  read.symlink = row.Bytes(kSymlink);
  read.hash = row.Bytes(kHash);
  read.xattr = row.Bytes(kXattr);
  return read;
}

std::string_view LastPart(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "/a/b", and nothing that could climb or confuse: no empty part, no "." or "..".
bool IsCleanPath(std::string_view path) {
  while (!path.empty()) {
    if (path[0] != '/') return false;
    size_t end = std::min(path.find('/', 1), path.size());
    if (!IsFileName(path.substr(1, end - 1))) return false;
    path.remove_prefix(end);
  }
  return true;
}

bool IsBelow(std::string_view path, std::string_view ancestor) {
  return path.size() > ancestor.size() + 1 && path[ancestor.size()] == '/' &&
         path.substr(0, ancestor.size()) == ancestor;
}

template <typename Number>
void Append(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

// Also later the object may be gone, evicted after the last connection to it was closed.
template <typename Work>
auto Catalog::Reading(Work work) const {
  uint64_t damages = connections_.damages();
  try {
    Connections::Lease connection = connections_.Take(reference_.object);
    if (!connection) throw Lost(false);
    return work(*connection);
  } catch (const Fault& fault) {
    if (fault.of_machine) throw;
    throw Lost(connections_.NoteDamage(damages));
  }
}

std::shared_ptr<Catalog> Catalog::Load(Connections& connections, CatalogReference reference, std::string mountpoint) {
  std::shared_ptr<Catalog> catalog(new Catalog(connections, std::move(reference), std::move(mountpoint)));
  catalog->Reading([&catalog](Connection& connection) { catalog->Read(connection); });
  return catalog;
}

void Catalog::Read(Connection& connection) {
  ReadPrefix(connection);
  ReadNested(connection, "nested_catalogs");
  if (connection.schema.HasBindMountpoints()) ReadNested(connection, "bind_mountpoints");
  ReadStatistics(connection);
}

Catalog::Catalog(Connections& connections, CatalogReference reference, std::string mountpoint)
    : connections_(connections), reference_(std::move(reference)), mountpoint_(std::move(mountpoint)) {}

Missing Catalog::Lost(bool damaged) const {
  Missing lost{reference_.object, true, reference_.size, mountpoint_.empty() ? "/" : mountpoint_};
  lost.damaged = damaged;
  return lost;
}

void Catalog::ReadPrefix(Connection& connection) {
  Statement statement(*connection.database, "SELECT value FROM properties WHERE key = 'root_prefix'");
  if (!statement.Step()) return;
  prefix_ = statement.Bytes(0);
  if (prefix_ == "/") prefix_.clear();
  if (!IsCleanPath(prefix_)) throw Fault{EIO};
}

void Catalog::ReadNested(Connection& connection, const char* table) {
  const char* size = connection.schema.HasSizes() ? ", size" : ", 0";
  Statement statement(*connection.database, std::string("SELECT path, sha1") + size + " FROM " + table);
  while (statement.Step()) {
    std::string_view path = statement.Bytes(0);
    std::string object = ObjectPath(statement.Bytes(1), "C");
    int64_t bytes = statement.Integer(2);
    if (!IsBelow(path, prefix_) || !IsCleanPath(path) || object.empty() || bytes < 0) throw Fault{EIO};
    nested_[mountpoint_ + std::string(path.substr(prefix_.size()))] = {object, static_cast<uint64_t>(bytes)};
  }
}

void Catalog::ReadStatistics(Connection& connection) {
  Statement statement(*connection.database, "SELECT counter, value FROM statistics LIMIT 100");
  while (statement.Step()) statistics_[std::string(statement.Bytes(0))] = std::max<int64_t>(0, statement.Integer(1));
}

std::string Catalog::InnerPath(const std::string& path) const { return prefix_ + path.substr(mountpoint_.size()); }

EntryPtr Catalog::Find(const std::string& path) const {
  std::string inner = InnerPath(path);
  return Reading([&](Connection& connection) {
    StatementUse row(connection.find.Bind(Md5(inner)));
    return row->Step() ? Build(connection, *row, inner, path) : nullptr;
  });
}

std::vector<EntryPtr> Catalog::List(const std::string& path) const {
  std::string inner = InnerPath(path);
  return Reading([&](Connection& connection) {
    StatementUse row(connection.list.Bind(Md5(inner)));
    std::vector<EntryPtr> entries;
    while (row->Step()) {
      std::string_view name = row->Bytes(kName);
      if (!IsFileName(name)) throw Fault{EIO};
      std::string tail = std::string("/").append(name);
      entries.push_back(Build(connection, *row, inner + tail, path + tail));
    }
    return entries;
  });
}

// A row must be what its name and its parent say, or a listing would show what no lookup finds.
EntryPtr Catalog::Build(Connection& connection, Statement& row, const std::string& inner,
                        const std::string& path) const {
  PathHash hash = Md5(inner);
  if (row.Integer(kHash1) != hash.first || row.Integer(kHash2) != hash.second) throw Fault{EIO};
  auto entry = std::make_shared<Entry>(MakeEntry(ReadRow(row)));
  if (entry->name != LastPart(inner)) throw Fault{EIO};
  entry->name = LastPart(path);
  if (S_ISREG(entry->mode) && entry->Has(kFlagChunked)) entry->chunks = ReadChunks(connection, hash, *entry);
  entry->identity = Identity(*entry, path);
  return entry;
}

// Contiguous from 0 to the file's end, or the row is none that can be read.
std::vector<Chunk> Catalog::ReadChunks(Connection& connection, const PathHash& hash, const Entry& entry) const {
  StatementUse row(connection.chunks.Bind(hash));
  std::vector<Chunk> chunks;
  uint64_t end = 0;
  while (row->Step()) {
    int64_t size = row->Integer(1);
    std::string_view digest = row->Bytes(2);
    bool good = row->Integer(0) == static_cast<int64_t>(end) && size > 0 && digest.size() == kHashBytes &&
                static_cast<uint64_t>(size) <= entry.size - end;
    if (!good) throw Fault{EIO};
    chunks.push_back({end, static_cast<uint64_t>(size), ObjectPath(HashText(digest, entry.Algorithm()), "P")});
    end += static_cast<uint64_t>(size);
  }
  if (end != entry.size) throw Fault{EIO};
  return chunks;
}

PathHash Catalog::Identity(const Entry& entry, const std::string& path) const {
  std::string bytes;
  if (entry.hardlink_group != 0 && !S_ISDIR(entry.mode)) {
    Append(bytes, entry.hardlink_group);
    bytes += mountpoint_ + '\0';
  } else {
    bytes = path + '\0';
  }
  Append(bytes, entry.mode & S_IFMT);
  if (S_ISREG(entry.mode)) {
    Append(bytes, entry.size);
    // Where the content is fetched: a Content holds on to that.
    Append(bytes, entry.flags & kFlagExternal);
    bytes += entry.hash;
    for (const Chunk& chunk : entry.chunks) bytes += chunk.object;
  } else if (!S_ISDIR(entry.mode)) {
    Append(bytes, entry.size);
    bytes += entry.symlink;
  }
  return Md5(bytes);
}

}  // namespace thinlayer::cvmfs
