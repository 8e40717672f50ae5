// The cache directory as this side sees it: whole, verified files by name, which appear and vanish at any time.
#ifndef THINLAYER_CVMFS_OBJECTS_H_
#define THINLAYER_CVMFS_OBJECTS_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../fd.h"

namespace thinlayer::cvmfs {

// One descriptor serves all who have the object open: containers of one image read the same files.
using ObjectFile = std::shared_ptr<const Fd>;

class Objects {
 public:
  explicit Objects(std::string cache) : cache_(std::move(cache)) {}

  std::string PathOf(const std::string& object) const { return cache_ + "/" + object; }

  // Nothing if it is not in the cache, or was damaged. Fault{EIO} if it cannot be opened, or does not hold `size` bytes
  // though it was fetched anew.
  ObjectFile Open(const std::string& object, uint64_t size);
  // The same, and it does not count as a use.
  ObjectFile Peek(const std::string& object, uint64_t size);

  // Removes an object that is not what it was when it was put in, so that it is fetched anew: a power cut may have
  // damaged it. False the second time: then it is so on the server.
  bool Discard(const std::string& object);

  void NoteUsed(const std::string& object);
  // What was noted since the last call.
  std::vector<std::string> TakeUsed();

 private:
  ObjectFile Share(const std::string& object, Fd file);

  const std::string cache_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const Fd>> open_;
  size_t sweep_at_ = 1024;
  std::unordered_set<std::string> discarded_;
  std::unordered_set<std::string> used_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_OBJECTS_H_
