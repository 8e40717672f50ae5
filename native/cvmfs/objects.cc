#include "objects.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace thinlayer::cvmfs {
namespace {

// Of names noted and not yet taken: JavaScript takes them every few seconds, or is about to end.
constexpr size_t kMaxUsed = 200'000;

}  // namespace

ObjectFile Objects::Open(Missing& wanted) {
  NoteUsed(wanted.object);
  return Peek(wanted);
}

ObjectFile Objects::Peek(Missing& wanted) {
  const std::string& object = wanted.object;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto known = open_.find(object);
    if (known != open_.end()) {
      if (ObjectFile file = known->second.lock()) return file;
    }
  }
  Fd file(open(PathOf(object).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ENOENT) return nullptr;
  struct stat status;
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) throw Fault{EIO};
  if (static_cast<uint64_t>(status.st_size) == wanted.size) return Share(object, std::move(file));
  wanted.damaged = true;
  return nullptr;
}

ObjectFile Objects::Share(const std::string& object, Fd file) {
  auto shared = std::make_shared<const Fd>(std::move(file));
  std::lock_guard<std::mutex> lock(mutex_);
  open_[object] = shared;
  if (open_.size() < sweep_at_) return shared;
  for (auto at = open_.begin(); at != open_.end();) at = at->second.expired() ? open_.erase(at) : std::next(at);
  sweep_at_ = std::max<size_t>(1024, 2 * open_.size());
  return shared;
}

void Objects::NoteUsed(const std::string& object) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (used_.size() < kMaxUsed) used_.insert(object);
}

std::vector<std::string> Objects::TakeUsed() {
  std::unordered_set<std::string> taken;
  std::lock_guard<std::mutex> lock(mutex_);
  taken.swap(used_);
  return {taken.begin(), taken.end()};
}

}  // namespace thinlayer::cvmfs
