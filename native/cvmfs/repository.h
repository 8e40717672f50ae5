// A mounted repository: what all requests share.
#ifndef THINLAYER_CVMFS_REPOSITORY_H_
#define THINLAYER_CVMFS_REPOSITORY_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "catalog_tree.h"
#include "connections.h"
#include "contents.h"
#include "inodes.h"
#include "listings.h"
#include "look_ahead.h"
#include "misses.h"
#include "objects.h"
#include "variables.h"
#include "xattrs.h"

namespace thinlayer::cvmfs {

// Ids of a user name space, as the host has them.
struct IdRange {
  uint32_t inside, outside, size;
};

// How user or group ids of catalogs are shown.
struct IdMap {
  std::optional<uint32_t> all;  // every entry has this one
  std::unordered_map<uint32_t, uint32_t> map;
  std::optional<uint32_t> others;  // of ids that are not in `map`
  std::vector<IdRange> ranges;     // what becomes of all these; none: nothing
  uint32_t operator()(uint32_t id) const;

 private:
  uint32_t Mapped(uint32_t id) const;
};

// Which entries list magic attributes; all that have them can be asked for them.
enum class ListedMagic { kNowhere, kAtRoot, kEverywhere };

struct RepositoryOptions {
  std::string fqrn;
  std::string cache;
  IdMap uids, gids;
  bool layers = false;
  ListedMagic listed_magic = ListedMagic::kAtRoot;
  double kernel_cache_seconds = 60;
  Variables variables;
};

struct Counters {
  std::atomic<uint64_t> lookups{0}, opens{0}, listings{0}, reads{0}, bytes_read{0}, misses{0}, failures{0};
};

// Told by the kernel before its first request. What it opens itself is never announced; Linux 3.16 and 5.1 began it.
struct KernelTraits {
  bool opens_files_itself = false;
  bool opens_directories_itself = false;
};

class Repository {
 public:
  // `ask_ahead` may be empty: then nothing is looked for before it is read.
  Repository(RepositoryOptions repository_options, Misses::Ask ask, LookAhead::Ask ask_ahead);

  const RepositoryOptions options;
  Objects objects;
  Connections connections;
  Inodes inodes;
  Misses misses;
  Contents contents{kMaxContents};
  Listings listings{kMaxListings};
  LookAhead look_ahead;
  Counters counters;
  KernelTraits kernel;

  // Throws Missing without an object as long as there is none.
  CatalogTree::Use UseTree();
  std::shared_ptr<CatalogTree> TreeOrNull();
  // Every use of the former tree was begun before this returns.
  void SetTree(std::shared_ptr<CatalogTree> tree);

  // Closes objects that are kept open for the next read.
  void LetGo();
  // No requests come any more: lets go of all files.
  void Close();

  // The tree as it is shown: with whiteouts, if `layers` is on.
  EntryPtr Find(CatalogTree& tree, const std::string& path) const;
  EntryPtr FindChild(CatalogTree& tree, const std::string& directory, const std::string& name) const;
  std::vector<EntryPtr> List(CatalogTree& tree, const std::string& directory) const;
  bool IsShownOpaque(CatalogTree& tree, const std::string& path, const Entry& entry) const;
  bool IsCutOffAround(CatalogTree& tree, const std::string& directory) const;  // see layers.h

  // What an inode shows. Where its path shows something else by now, or nothing: what it showed before, for who has it
  // open, or looked it up just before a change. Fault{ESTALE} if that is not known.
  EntryPtr EntryOf(CatalogTree& tree, uint64_t inode) { return ShownOf(tree, inode).entry; }
  struct Shown {
    EntryPtr entry;
    // What it showed before, since the catalog of now is not here: who has a file open does not depend on whether that can be
    // had. The content is the inode's for ever, attributes may be others by now.
    bool provisional;
  };
  Shown ShownOf(CatalogTree& tree, uint64_t inode);
  // The tree in which a directory is what the inode stands for: `tree`, or the one before.
  std::shared_ptr<CatalogTree> TreeOf(const CatalogTree::Use& tree, uint64_t directory);

  struct stat Stat(const Entry& entry, uint64_t inode) const;
  std::string Target(const Entry& entry) const { return Expand(entry.symlink, options.variables); }

  void SetMagic(Xattrs values);
  Xattrs magic();

 private:
  std::mutex mutex_;
  EntryPtr FormerEntryOf(uint64_t inode, const std::string& path);  // null: not known
  EntryPtr FindBefore(const std::string& path);
  std::shared_ptr<CatalogTree> TreeBefore();

  std::shared_ptr<CatalogTree> tree_;
  std::shared_ptr<CatalogTree> before_;  // the tree that tree_ took the place of
  Xattrs magic_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_REPOSITORY_H_
