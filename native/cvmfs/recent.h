// The values used last, by key.
#ifndef THINLAYER_CVMFS_RECENT_H_
#define THINLAYER_CVMFS_RECENT_H_

#include <cstddef>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace thinlayer::cvmfs {

// `Value` is a shared pointer. Those that are pushed out, or replaced, live on with whoever uses them.
template <typename Key, typename Value, typename Hasher = std::hash<Key>>
class Recent {
 public:
  explicit Recent(size_t limit) : limit_(limit) {}

  struct Found {
    bool known;
    Value value;
  };

  Found Get(const Key& key) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto known = by_key_.find(key);
    if (known == by_key_.end()) return {false, Value()};
    values_.splice(values_.begin(), values_, known->second);
    return {true, known->second->second};
  }

  // Takes the place of what is known under `key`.
  void Put(const Key& key, Value value) {
    Value dropped;  // freed when the lock is given back
    std::lock_guard<std::mutex> lock(mutex_);
    auto known = by_key_.find(key);
    if (known != by_key_.end()) {
      dropped = std::exchange(known->second->second, std::move(value));
      return;
    }
    values_.emplace_front(key, std::move(value));
    by_key_[key] = values_.begin();
    if (values_.size() <= limit_) return;
    dropped = std::move(values_.back().second);
    by_key_.erase(values_.back().first);
    values_.pop_back();
  }

  void Clear() {
    std::lock_guard<std::mutex> lock(mutex_);
    by_key_.clear();
    values_.clear();
  }

 private:
  using Values = std::list<std::pair<Key, Value>>;

  const size_t limit_;
  std::mutex mutex_;
  Values values_;
  std::unordered_map<Key, typename Values::iterator, Hasher> by_key_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_RECENT_H_
