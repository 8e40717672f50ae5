// A FUSE session: the mount, and the threads that read its requests.
#ifndef THINLAYER_CVMFS_SESSION_H_
#define THINLAYER_CVMFS_SESSION_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve.h"

namespace thinlayer::cvmfs {

class Session {
 public:
  // `ended` is called once, on a thread of the session, when the loop ends and nobody asked for it: with 0 if the
  // kernel unmounted, else with an errno. It must not end the session itself.
  using Ended = std::function<void(int error)>;

  // Mounts, or throws SyscallError.
  Session(Repository& repository, const std::string& mountpoint, const std::vector<std::string>& options, Ended ended);
  ~Session();  // as Unmount

  // Takes the mount away, wherever it is in use, and ends all threads. Open files fail from then on. False: the mount stays,
  // dead: something else is mounted over it, or the kernel refused.
  bool Unmount();
  fuse_session* handle() { return session_; }
  const std::string& mountpoint() const { return mountpoint_; }

 private:
  void Loop();
  bool DetachMount();
  void StopLoop();

  Repository& repository_;
  const std::string mountpoint_;
  const Ended ended_;
  fuse_session* session_ = nullptr;
  std::string device_;  // as mountinfo has it: "0:42"
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool stopping_ = false;
  bool loop_over_ = false;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_SESSION_H_
