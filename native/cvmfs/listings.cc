#include "listings.h"

#include <algorithm>
#include <cstdint>

namespace thinlayer::cvmfs {
namespace {

constexpr off_t kAfterDots = 2;

// FNV-1a. 31 bits: programs of 32 bits must be able to seek to it, too.
off_t OffsetOf(const std::string& name) {
  uint32_t hash = 2166136261;
  for (unsigned char byte : name) hash = (hash ^ byte) * 16777619;
  return static_cast<off_t>(hash >> 1);
}

bool ComesBefore(off_t offset, const EntryPtr& entry, off_t other_offset, const EntryPtr& other) {
  return offset != other_offset ? offset < other_offset : entry->name < other->name;
}

}  // namespace

bool IsListedBefore(const EntryPtr& a, const EntryPtr& b) {
  return ComesBefore(OffsetOf(a->name), a, OffsetOf(b->name), b);
}

Listing::Listing(std::weak_ptr<CatalogTree> made_of, const std::vector<EntryPtr>& entries) : tree(std::move(made_of)) {
  places.reserve(entries.size());
  for (const EntryPtr& entry : entries) {
    if (!entry->Has(kFlagHidden)) places.emplace_back(OffsetOf(entry->name), entry);
  }
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return ComesBefore(a.first, a.second, b.first, b.second); });
  off_t last = kAfterDots;
  for (Place& place : places) last = place.first = std::max(place.first, last + 1);
}

std::vector<Listing::Place>::const_iterator Listing::After(off_t offset) const {
  auto behind = [](off_t at, const Place& place) { return at < place.first; };
  return std::upper_bound(places.begin(), places.end(), offset, behind);
}

}  // namespace thinlayer::cvmfs
