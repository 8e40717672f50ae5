// The tree of one revision: its root catalog, and nested ones as they are needed.
#ifndef THINLAYER_CVMFS_CATALOG_TREE_H_
#define THINLAYER_CVMFS_CATALOG_TREE_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "catalog.h"
#include "recent.h"

namespace thinlayer::cvmfs {

class CatalogTree {
 public:
  // As Catalog::Load. Nested catalogs that are the same in `earlier`, which may be null, are taken over from it.
  CatalogTree(Connections& connections, const std::string& root, uint64_t revision, CatalogTree* earlier);

  const Catalog& root() const { return *root_; }
  uint64_t revision() const { return revision_; }

  // Throw Missing if a nested catalog on the way is not in the cache. Paths: "" is the root, others begin with "/".
  EntryPtr Find(const std::string& path);  // null: there is none
  std::vector<EntryPtr> List(const std::string& path);
  // The catalog that lists `directory`, and has all below it except where others are mounted.
  std::shared_ptr<const Catalog> CatalogOf(const std::string& directory);
  std::vector<std::string> LoadedObjects();
  // Whether a catalog of the tree was ever here: then somebody may have been shown what it holds.
  bool HasLoaded(const std::string& object);

  // A request that works on the tree, so that the end of all of them can be waited for.
  class Use {
   public:
    explicit Use(std::shared_ptr<CatalogTree> tree);
    ~Use();
    Use(const Use&) = delete;
    CatalogTree* operator->() const { return tree_.get(); }
    const std::shared_ptr<CatalogTree>& tree() const { return tree_; }

   private:
    std::shared_ptr<CatalogTree> tree_;
  };
  void WaitUntilUnused();

 private:
  using Catalogs = std::unordered_map<std::string, std::shared_ptr<const Catalog>>;  // nested, by mountpoint
  Catalogs Loaded();
  std::shared_ptr<const Catalog> Mounted(const std::string& path, const CatalogReference& reference);

  Connections& connections_;
  const std::shared_ptr<const Catalog> root_;
  const uint64_t revision_;

  const Catalogs earlier_;

  std::mutex catalogs_mutex_;
  Catalogs catalogs_;

  // Also that there is none.
  Recent<PathHash, EntryPtr, PathHashHasher> entries_{8192};

  std::mutex uses_mutex_;
  std::condition_variable unused_;
  unsigned uses_ = 0;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_CATALOG_TREE_H_
