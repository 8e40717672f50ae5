#include "walk.h"

#include <algorithm>
#include <utility>

#include "inodes.h"

namespace thinlayer::cvmfs {
namespace {

// So many files on end, or nearly, are no accident.
constexpr unsigned kSteps = 4;
// Several processes may share the work: what they open is in order but for that.
constexpr size_t kNear = 3;
constexpr size_t kFirstWindow = 4;
constexpr size_t kLastWindow = 32;

bool IsBeforeByName(const EntryPtr& a, const EntryPtr& b) { return a->name < b->name; }

bool IsBeforeByInode(const EntryPtr& a, const EntryPtr& b) { return Inodes::Wanted(a->identity) < Inodes::Wanted(b->identity); }

}  // namespace

WalkOrder::WalkOrder(Entries files, Before before) : before_(before), files_(std::move(files)) {
  std::sort(files_.begin(), files_.end(), before_);
}

unsigned WalkOrder::Opened(const EntryPtr& file) {
  size_t place = std::lower_bound(files_.begin(), files_.end(), file, before_) - files_.begin();
  // What the kernel has the contents of is read without our hearing of it.
  size_t reach = std::max(kNear, window_);
  bool near = place <= at_ + reach && at_ <= place + kNear;
  if (!near) {
    at_ = place;
    window_ = told_ = 0;
    return steps_ = 0;
  }
  at_ = std::max(at_, place);
  return ++steps_;
}

// In batches: half the window is used up before the next one is told.
Entries WalkOrder::Ahead() {
  size_t next = std::max(told_, at_ + 1);
  if (window_ > 0 && next > at_ + window_ / 2) return {};
  window_ = std::clamp(2 * window_, kFirstWindow, kLastWindow);
  told_ = std::min(at_ + 1 + window_, files_.size());
  if (next >= told_) return {};
  return {files_.begin() + next, files_.begin() + told_};
}

Walk::Walk(ListingPtr listing) : listing_(std::move(listing)) {}

// Files that are near in one order may happen to be near in another: the one that was kept to for longest counts.
Entries Walk::Opened(const EntryPtr& file) {
  std::lock_guard<std::mutex> lock(mutex_);
  Entries opened{file};
  if (orders_.empty()) {
    first_.push_back(file);
    if (first_.size() < kSteps) return {};
    Sort();
    opened = std::exchange(first_, {});
  }
  unsigned most = 0;
  WalkOrder* kept = nullptr;
  for (WalkOrder& order : orders_) {
    unsigned steps = 0;
    for (const EntryPtr& each : opened) steps = order.Opened(each);
    if (steps > most) most = steps, kept = &order;
  }
  return most < kSteps ? Entries() : kept->Ahead();
}

void Walk::Sort() {
  Entries files;
  for (const auto& [offset, entry] : listing_->places) {
    if (S_ISREG(entry->mode) && entry->size > 0) files.push_back(entry);
  }
  for (WalkOrder::Before before : {IsListedBefore, IsBeforeByName, IsBeforeByInode}) orders_.emplace_back(files, before);
}

}  // namespace thinlayer::cvmfs
