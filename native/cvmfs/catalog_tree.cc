#include "catalog_tree.h"

#include <limits.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace thinlayer::cvmfs {

CatalogTree::CatalogTree(Connections& connections, const std::string& root, uint64_t revision, CatalogTree* earlier)
    : connections_(connections),
      root_(Catalog::Load(connections, {root, 0}, "")),
      revision_(revision),
      earlier_(earlier ? earlier->Loaded() : Catalogs()) {}

std::shared_ptr<const Catalog> CatalogTree::CatalogOf(const std::string& directory) {
  std::shared_ptr<const Catalog> catalog = root_;
  for (size_t end = 0; end < directory.size();) {
    end = std::min(directory.find('/', end + 1), directory.size());
    if (catalog->nested().empty()) continue;
    std::string path = directory.substr(0, end);
    auto nested = catalog->nested().find(path);
    if (nested != catalog->nested().end()) catalog = Mounted(path, nested->second);
  }
  return catalog;
}

std::shared_ptr<const Catalog> CatalogTree::Mounted(const std::string& path, const CatalogReference& reference) {
  {
    std::lock_guard<std::mutex> lock(catalogs_mutex_);
    auto known = catalogs_.find(path);
    if (known != catalogs_.end()) return known->second;
  }
  auto earlier = earlier_.find(path);
  bool same = earlier != earlier_.end() && earlier->second->object() == reference.object;
  // Two requests may load it at once: the first one's is kept.
  std::shared_ptr<const Catalog> loaded = same ? earlier->second : Catalog::Load(connections_, reference, path);
  std::lock_guard<std::mutex> lock(catalogs_mutex_);
  return catalogs_.emplace(path, std::move(loaded)).first->second;
}

EntryPtr CatalogTree::Find(const std::string& path) {
  PathHash hash = Md5(path);
  if (auto found = entries_.Get(hash); found.known) return found.value;
  // A nested catalog's mountpoint is told by the catalog around it: a stat of it loads nothing.
  std::string parent = path.empty() ? path : path.substr(0, path.rfind('/'));
  EntryPtr entry = CatalogOf(parent)->Find(path);
  entries_.Put(hash, entry);
  return entry;
}

std::vector<EntryPtr> CatalogTree::List(const std::string& path) { return CatalogOf(path)->List(path); }

CatalogTree::Catalogs CatalogTree::Loaded() {
  std::lock_guard<std::mutex> lock(catalogs_mutex_);
  return catalogs_;
}

std::vector<std::string> CatalogTree::LoadedObjects() {
  std::vector<std::string> objects{root_->object()};
  for (const auto& [path, catalog] : Loaded()) objects.push_back(catalog->object());
  return objects;
}

bool CatalogTree::HasLoaded(const std::string& object) {
  if (root_->object() == object) return true;
  std::lock_guard<std::mutex> lock(catalogs_mutex_);
  return std::any_of(catalogs_.begin(), catalogs_.end(), [&](auto& each) { return each.second->object() == object; });
}

CatalogTree::Use::Use(std::shared_ptr<CatalogTree> tree) : tree_(std::move(tree)) {
  std::lock_guard<std::mutex> lock(tree_->uses_mutex_);
  ++tree_->uses_;
}

CatalogTree::Use::~Use() {
  std::lock_guard<std::mutex> lock(tree_->uses_mutex_);
  if (--tree_->uses_ == 0) tree_->unused_.notify_all();
}

void CatalogTree::WaitUntilUnused() {
  std::unique_lock<std::mutex> lock(uses_mutex_);
  unused_.wait(lock, [this] { return uses_ == 0; });
}

}  // namespace thinlayer::cvmfs
