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
#include "fault.h"

namespace thinlayer::cvmfs {

// One descriptor serves all who have the object open: containers of one image read the same files.
using ObjectFile = std::shared_ptr<const Fd>;

class Objects {
 public:
  explicit Objects(std::string cache) : cache_(std::move(cache)) {}

  std::string PathOf(const std::string& object) const { return cache_ + "/" + object; }

  // Nothing if it is not in the cache, or not of its size there: then `wanted` says that it is damaged. Fault{EIO} if it
  // cannot be opened.
  ObjectFile Open(Missing& wanted);
  // The same, and it does not count as a use.
  ObjectFile Peek(Missing& wanted);

  void NoteUsed(const std::string& object);
  // What was noted since the last call.
  std::vector<std::string> TakeUsed();

 private:
  ObjectFile Share(const std::string& object, Fd file);

  const std::string cache_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const Fd>> open_;
  size_t sweep_at_ = 1024;
  std::unordered_set<std::string> used_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_OBJECTS_H_
