// Recognizes who reads the files of a directory one after the other, and tells which files come next.
#ifndef THINLAYER_CVMFS_WALK_H_
#define THINLAYER_CVMFS_WALK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "listings.h"
#include "recent.h"

namespace thinlayer::cvmfs {

using Entries = std::vector<EntryPtr>;

// A directory's files in one of the orders that programs read them in, and how far somebody is.
class WalkOrder {
 public:
  using Before = bool (*)(const EntryPtr& a, const EntryPtr& b);

  WalkOrder(Entries files, Before before);
  // How many files in a row were opened in this order, with this one.
  unsigned Opened(const EntryPtr& file);
  // The files to have at hand by now: none of them twice.
  Entries Ahead();

 private:
  const Before before_;
  Entries files_;
  size_t at_ = 0;      // the file opened last
  size_t told_ = 0;    // files before this one need not be told any more
  size_t window_ = 0;  // grows with each step, as the kernel's read-ahead does
  unsigned steps_ = 0;
};

// All who read in one directory.
class Walk {
 public:
  // In the order of the listing (tar, find), by name (a shell's `*`), or by inode (cp -r): whichever is kept to.
  explicit Walk(ListingPtr listing);

  const ListingPtr& listing() const { return listing_; }
  Entries Opened(const EntryPtr& file);

 private:
  void Sort();

  const ListingPtr listing_;
  std::mutex mutex_;
  Entries first_;  // opened so far: sorting a directory is not worth it for one file
  std::vector<WalkOrder> orders_;
};

// By the directory's inode.
using Walks = Recent<uint64_t, std::shared_ptr<Walk>>;
constexpr size_t kMaxWalks = kMaxListings;

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_WALK_H_
