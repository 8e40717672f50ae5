#include "look_ahead.h"

#include <fcntl.h>

#include <cstddef>
#include <utility>

#include "contents.h"

namespace thinlayer::cvmfs {
namespace {

// What takes longer to read than to ask for gains nothing.
constexpr uint64_t kMaxBytes = 512 * 1024;
constexpr size_t kMaxOpen = 64;
// Who is that far behind is no help.
constexpr size_t kMaxBatches = 64;

bool IsWorthIt(const Entry& file) {
  return file.size <= kMaxBytes && !file.hash.empty() && !file.Has(kFlagChunked) && !file.Has(kFlagExternal);
}

}  // namespace

LookAhead::LookAhead(Objects& objects, Ask ask) : objects_(objects), ask_(std::move(ask)), open_(kMaxOpen) {
  if (ask_) thread_ = std::thread([this] { Loop(); });
}

LookAhead::~LookAhead() { Close(); }

void LookAhead::Opened(uint64_t directory, const ListingPtr& listing, const EntryPtr& file, const std::string& path) {
  if (!ask_) return;
  std::shared_ptr<Walk> walk = walks_.Get(directory).value;
  if (!walk || walk->listing() != listing) walks_.Put(directory, walk = std::make_shared<Walk>(listing));
  std::vector<Missing> batch;
  std::string beside = path.substr(0, path.rfind('/') + 1);
  for (const EntryPtr& next : walk->Opened(file)) {
    if (IsWorthIt(*next)) batch.push_back(MissingWhole(*next, beside + next->name));
  }
  Want(std::move(batch));
}

void LookAhead::Want(std::vector<Missing> objects) {
  if (!ask_ || objects.empty()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  batches_.push_back(std::move(objects));
  if (batches_.size() > kMaxBatches) batches_.pop_front();
  posted_.notify_one();
}

void LookAhead::LetGo() { open_.Clear(); }

void LookAhead::Close() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    posted_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  LetGo();
}

void LookAhead::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    posted_.wait(lock, [this] { return ending_ || !batches_.empty(); });
    if (ending_) return;
    std::vector<Missing> batch = std::move(batches_.front());
    batches_.pop_front();
    lock.unlock();
    Bring(batch);
    lock.lock();
  }
}

void LookAhead::Bring(const std::vector<Missing>& batch) {
  std::vector<Missing> missing;
  for (Missing object : batch) {
    try {
      ObjectFile file = objects_.Peek(object);
      if (!file) {
        if (!object.damaged) missing.push_back(std::move(object));
        continue;
      }
      posix_fadvise(file->get(), 0, 0, POSIX_FADV_WILLNEED);
      open_.Put(object.object, std::move(file));
    } catch (const Fault&) {
      // Whoever reads it is told.
    }
  }
  if (!missing.empty()) ask_(missing);
}

}  // namespace thinlayer::cvmfs
