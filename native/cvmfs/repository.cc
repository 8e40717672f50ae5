#include "repository.h"

#include <cerrno>
#include <cstdint>
#include <utility>

#include "layers.h"

namespace thinlayer::cvmfs {

// What the kernel shows of an id that a user name space does not have.
constexpr uint32_t kUnmappedId = 65534;

uint32_t IdMap::Mapped(uint32_t id) const {
  if (all) return *all;
  auto mapped = map.find(id);
  return mapped != map.end() ? mapped->second : others.value_or(id);
}

uint32_t IdMap::operator()(uint32_t id) const {
  const uint32_t inside = Mapped(id);
  if (ranges.empty()) return inside;
  for (const IdRange& range : ranges) {
    if (inside >= range.inside && inside - range.inside < range.size) return range.outside + (inside - range.inside);
  }
  return kUnmappedId;
}

Repository::Repository(RepositoryOptions repository_options, Misses::Ask ask, LookAhead::Ask ask_ahead)
    : options(std::move(repository_options)),
      objects(options.cache),
      connections(objects),
      misses(std::move(ask)),
      look_ahead(objects, std::move(ask_ahead)) {}

std::shared_ptr<CatalogTree> Repository::TreeOrNull() {
  std::lock_guard<std::mutex> lock(mutex_);
  return tree_;
}

CatalogTree::Use Repository::UseTree() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!tree_) throw Missing{};
  return CatalogTree::Use(tree_);
}

void Repository::SetTree(std::shared_ptr<CatalogTree> tree) {
  std::shared_ptr<CatalogTree> dropped;  // freed when the lock is given back
  std::lock_guard<std::mutex> lock(mutex_);
  dropped = std::exchange(before_, std::exchange(tree_, std::move(tree)));
}

void Repository::LetGo() {
  contents.Clear();
  look_ahead.LetGo();
}

void Repository::Close() {
  SetTree(nullptr);
  SetTree(nullptr);  // and that before
  look_ahead.Close();
  contents.Clear();
  listings.Clear();
  connections.Close();
}

EntryPtr Repository::Find(CatalogTree& tree, const std::string& path) const {
  if (path.empty()) return tree.Find(path);
  size_t slash = path.rfind('/');
  return FindChild(tree, path.substr(0, slash), path.substr(slash + 1));
}

EntryPtr Repository::FindChild(CatalogTree& tree, const std::string& directory, const std::string& name) const {
  if (options.layers && IsInLayers(directory)) return FindInLayer(tree, directory, name);
  return tree.Find(directory + "/" + name);
}

std::vector<EntryPtr> Repository::List(CatalogTree& tree, const std::string& directory) const {
  if (options.layers && IsInLayers(directory)) return ListLayer(tree, directory);
  return tree.List(directory);
}

bool Repository::IsShownOpaque(CatalogTree& tree, const std::string& path, const Entry& entry) const {
  return options.layers && S_ISDIR(entry.mode) && IsInLayers(path) && IsOpaque(tree, path);
}

bool Repository::IsCutOffAround(CatalogTree& tree, const std::string& directory) const {
  return options.layers && cvmfs::IsCutOffAround(tree, directory);
}

Repository::Shown Repository::ShownOf(CatalogTree& tree, uint64_t inode) {
  std::string path = inodes.PathOf(inode);
  try {
    EntryPtr entry = Find(tree, path);
    if (entry && inodes.Is(inode, entry->identity)) return {entry, false};
  } catch (const Missing& missing) {
    // Attributes that were shown already must not be followed by those of before: one that was evicted is fetched.
    EntryPtr former = tree.HasLoaded(missing.object) ? nullptr : FormerEntryOf(inode, path);
    if (!former) throw;
    return {former, true};
  }
  EntryPtr former = FormerEntryOf(inode, path);
  if (!former) throw Fault{ESTALE};
  return {former, false};
}

EntryPtr Repository::FormerEntryOf(uint64_t inode, const std::string& path) {
  if (EntryPtr retained = inodes.Retained(inode)) return retained;
  EntryPtr before = FindBefore(path);
  return before && inodes.Is(inode, before->identity) ? before : nullptr;
}

// Nothing is fetched for a revision that is over.
EntryPtr Repository::FindBefore(const std::string& path) {
  std::shared_ptr<CatalogTree> before = TreeBefore();
  try {
    return before ? Find(*before, path) : nullptr;
  } catch (const Missing&) {
    return nullptr;
  }
}

std::shared_ptr<CatalogTree> Repository::TreeBefore() {
  std::lock_guard<std::mutex> lock(mutex_);
  return before_;
}

std::shared_ptr<CatalogTree> Repository::TreeOf(const CatalogTree::Use& tree, uint64_t directory) {
  std::string path = inodes.PathOf(directory);
  for (const std::shared_ptr<CatalogTree>& each : {tree.tree(), TreeBefore()}) {
    EntryPtr entry = each ? Find(*each, path) : nullptr;
    if (!entry || !inodes.Is(directory, entry->identity)) continue;
    if (!S_ISDIR(entry->mode)) throw Fault{ENOTDIR};
    return each;
  }
  throw Fault{ESTALE};
}

struct stat Repository::Stat(const Entry& entry, uint64_t inode) const {
  struct stat status = {};
  status.st_ino = inode;
  status.st_mode = entry.mode;
  status.st_nlink = entry.links;
  status.st_uid = options.uids(entry.uid);
  status.st_gid = options.gids(entry.gid);
  bool device = S_ISCHR(entry.mode) || S_ISBLK(entry.mode);
  if (device) status.st_rdev = entry.size;
  else if (S_ISLNK(entry.mode)) status.st_size = static_cast<off_t>(Target(entry).size());
  else status.st_size = static_cast<off_t>(entry.size);
  status.st_blksize = 4096;
  status.st_blocks = 1 + status.st_size / 512;
  status.st_mtim = {entry.mtime, static_cast<long>(entry.mtimens)};
  status.st_atim = status.st_ctim = status.st_mtim;
  return status;
}

void Repository::SetMagic(Xattrs values) {
  std::lock_guard<std::mutex> lock(mutex_);
  magic_ = std::move(values);
}

Xattrs Repository::magic() {
  std::lock_guard<std::mutex> lock(mutex_);
  return magic_;
}

}  // namespace thinlayer::cvmfs
