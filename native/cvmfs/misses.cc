#include "misses.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <future>

namespace thinlayer::cvmfs {
namespace {

constexpr int kThreads = 2;

}  // namespace

Misses::Misses(Ask ask) : ask_(std::move(ask)) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Loop(); });
}

Misses::~Misses() {
  Close(ENOTCONN);
  Join();
}

void Misses::Park(const Missing& missing, const ParkedPtr& parked) {
  uint64_t number;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (parked->cancelled) return Post(parked, EINTR);
    if (closed_ != 0) return Post(parked, closed_);
    // It may have come between the look for it and here.
    if (missing.object.empty() && has_root_) return Post(parked, 0);
    parked->object = missing.object;
    parked->waiting = true;
    number = NumberOfNew(missing.object);
    pending_[missing.object].parked.push_back(parked);
  }
  if (number != 0) ask_(number, missing);
  for (const Missing& other : missing.others) AskFor(other);
}

void Misses::AskFor(const Missing& missing) {
  uint64_t number = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_ == 0) number = NumberOfNew(missing.object);
  }
  if (number != 0) ask_(number, missing);
}

uint64_t Misses::NumberOfNew(const std::string& object) {
  auto [pending, is_new] = pending_.try_emplace(object);
  if (!is_new || object.empty()) return 0;
  objects_.emplace(next_, object);
  return pending->second.number = next_++;
}

void Misses::Complete(uint64_t number, int error) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto object = objects_.find(number);
  if (object == objects_.end()) return;
  std::string name = std::move(object->second);
  objects_.erase(object);
  Finish(name, error);
}

void Misses::CompleteRoot() {
  std::lock_guard<std::mutex> lock(mutex_);
  has_root_ = true;
  Finish("", 0);
}

void Misses::Finish(const std::string& object, int error) {
  auto found = pending_.find(object);
  if (found == pending_.end()) return;
  std::vector<ParkedPtr> parked = std::move(found->second.parked);
  pending_.erase(found);
  for (const ParkedPtr& each : parked) Post(each, error);
}

void Misses::Post(const ParkedPtr& parked, int error) {
  parked->waiting = false;
  resumed_.emplace_back(parked, error);
  posted_.notify_one();
}

void Misses::Interrupt(Parked& parked) {
  std::lock_guard<std::mutex> lock(mutex_);
  parked.cancelled = true;
  if (!parked.waiting) return;
  auto pending = pending_.find(parked.object);
  if (pending == pending_.end()) return;
  auto& all = pending->second.parked;
  auto at = std::find_if(all.begin(), all.end(), [&](auto& each) { return each.get() == &parked; });
  if (at == all.end()) return;
  Post(*at, EINTR);
  all.erase(at);
}

void Misses::Wait(const Missing& missing) {
  auto done = std::make_shared<std::promise<int>>();
  Park(missing, std::make_shared<Parked>([done](int error) { done->set_value(error); }));
  if (int error = done->get_future().get()) throw Fault{error};
}

void Misses::Close(int error) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ != 0) return;
  closed_ = error;
  objects_.clear();
  auto pending = std::move(pending_);
  pending_.clear();
  for (auto& [object, each] : pending) {
    for (const ParkedPtr& parked : each.parked) Post(parked, error);
  }
}

void Misses::Join() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    posted_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

size_t Misses::waiting() {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t count = 0;
  for (const auto& [object, pending] : pending_) count += pending.parked.size();
  return count;
}

void Misses::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    posted_.wait(lock, [this] { return ending_ || !resumed_.empty(); });
    if (resumed_.empty()) return;
    auto [parked, error] = std::move(resumed_.front());
    resumed_.pop_front();
    lock.unlock();
    parked->resume(error);
    parked.reset();
    lock.lock();
  }
}

}  // namespace thinlayer::cvmfs
