// Work that waits for objects which JavaScript fetches. The work is parked, never its thread.
#ifndef THINLAYER_CVMFS_MISSES_H_
#define THINLAYER_CVMFS_MISSES_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "fault.h"

namespace thinlayer::cvmfs {

// Something parked: `resume` is called once, on a thread of Misses, with 0 if the object is there, else with an errno.
struct Parked {
  explicit Parked(std::function<void(int)> work) : resume(std::move(work)) {}
  const std::function<void(int)> resume;

 private:
  friend class Misses;
  std::string object;
  bool waiting = false;
  bool cancelled = false;
};
using ParkedPtr = std::shared_ptr<Parked>;

class Misses {
 public:
  // Called once for all who wait for an object, without a lock held. Must not throw.
  using Ask = std::function<void(uint64_t number, const Missing& missing)>;

  explicit Misses(Ask ask);
  ~Misses();

  // The others that it lacks are asked for as well: nobody waits for them yet.
  void Park(const Missing& missing, const ParkedPtr& parked);
  void Complete(uint64_t number, int error);
  // For those who wait for a root catalog: Missing without an object.
  void CompleteRoot();
  // Resumes it with EINTR if it waits, or as soon as it is parked.
  void Interrupt(Parked& parked);
  // Waits until the object is there, or throws Fault. Not for threads that answer requests.
  void Wait(const Missing& missing);

  // All who wait, or will, are resumed with `error`.
  void Close(int error);
  // Runs what is resumed already and ends the threads; after Close.
  void Join();

  size_t waiting();

 private:
  struct Pending {
    uint64_t number;
    std::vector<ParkedPtr> parked;
  };
  void AskFor(const Missing& missing);
  // For what is to be asked for; 0 if it was asked for already. With mutex_ held.
  uint64_t NumberOfNew(const std::string& object);
  void Finish(const std::string& object, int error);  // with mutex_ held
  void Post(const ParkedPtr& parked, int error);      // with mutex_ held
  void Loop();

  const Ask ask_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::unordered_map<std::string, Pending> pending_;
  std::unordered_map<uint64_t, std::string> objects_;
  std::deque<std::pair<ParkedPtr, int>> resumed_;
  uint64_t next_ = 1;
  bool has_root_ = false;
  int closed_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_MISSES_H_
