// Files that are read one after the other are opened, or asked for, before the reader comes to them.
#ifndef THINLAYER_CVMFS_LOOK_AHEAD_H_
#define THINLAYER_CVMFS_LOOK_AHEAD_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fault.h"
#include "objects.h"
#include "walk.h"

namespace thinlayer::cvmfs {

class LookAhead {
 public:
  // Called for objects that are not in the cache, on a thread of its own. Must not throw.
  using Ask = std::function<void(const std::vector<Missing>& objects)>;

  // Without `ask` nothing is looked for.
  LookAhead(Objects& objects, Ask ask);
  ~LookAhead();

  // A file of `directory`, at `path`, is going to be read. Never waits for a disk.
  void Opened(uint64_t directory, const ListingPtr& listing, const EntryPtr& file, const std::string& path);
  // These are going to be read.
  void Want(std::vector<Missing> objects);
  // Closes what is open for readers who have not come.
  void LetGo();
  // Ends the thread.
  void Close();

 private:
  void Loop();
  void Bring(const std::vector<Missing>& batch);

  Objects& objects_;
  const Ask ask_;
  Walks walks_{kMaxWalks};
  Recent<std::string, ObjectFile> open_;

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::vector<Missing>> batches_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_LOOK_AHEAD_H_
