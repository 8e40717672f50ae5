// Directories that are being listed.
#ifndef THINLAYER_CVMFS_LISTINGS_H_
#define THINLAYER_CVMFS_LISTINGS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "catalog_tree.h"
#include "recent.h"

namespace thinlayer::cvmfs {

// The entries of a directory in the order of their offsets, which are made of their names: who is in the middle of a
// listing finds the next entry in another revision as well, and whoever forgot the listing makes the same one again.
struct Listing {
  Listing(std::weak_ptr<CatalogTree> made_of, const std::vector<EntryPtr>& entries);

  using Place = std::pair<off_t, EntryPtr>;
  // The first one behind `offset`.
  std::vector<Place>::const_iterator After(off_t offset) const;

  std::weak_ptr<CatalogTree> tree;
  std::vector<Place> places;
};

// In the order of their offsets.
bool IsListedBefore(const EntryPtr& a, const EntryPtr& b);

using ListingPtr = std::shared_ptr<const Listing>;

// By inode. One is asked for at least twice: with its entries, and for the end.
using Listings = Recent<uint64_t, ListingPtr>;
constexpr size_t kMaxListings = 32;

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_LISTINGS_H_
