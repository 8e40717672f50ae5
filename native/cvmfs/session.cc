#include "session.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <fstream>
#include <sstream>

#include "../worker.h"
#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

// Nobody else uses it here, and without a handler it is ignored.
constexpr int kWakeSignal = SIGURG;

// libfuse writes why a mount failed as text, and nowhere else.
thread_local std::string* log_of_thread = nullptr;

__attribute__((format(printf, 2, 0))) void CollectLog(fuse_log_level, const char* format, va_list arguments) {
  char text[512];
  vsnprintf(text, sizeof text, format, arguments);
  if (log_of_thread) log_of_thread->append(text);
}

// A signal has to end the loop's wait, and nothing else: libfuse's loop is woken by nothing else that is ours.
void PrepareProcess() {
  static const bool once = [] {
    fuse_set_log_func(CollectLog);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(kWakeSignal, &action, nullptr);
    return true;
  }();
  (void)once;
}

// Signals are for the main thread.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  for (int kept : {kWakeSignal, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) sigdelset(&all, kept);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

std::string Escaped(const std::string& option) {
  std::string escaped;
  for (char c : option) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// mountinfo writes blanks and the like in octal.
std::string InMountinfo(const std::string& path) {
  std::string written;
  for (char c : path) {
    if (c == ' ') written += "\\040";
    else if (c == '\t') written += "\\011";
    else if (c == '\n') written += "\\012";
    else if (c == '\\') written += "\\134";
    else written += c;
  }
  return written;
}

// Device numbers of what is mounted on `path`, the uppermost last.
std::vector<std::string> DevicesAt(const std::string& path) {
  std::ifstream mountinfo("/proc/thread-self/mountinfo");
  std::vector<std::string> devices;
  const std::string wanted = InMountinfo(path);
  for (std::string line; std::getline(mountinfo, line);) {
    std::istringstream fields(line);
    std::string id, parent, number, root, mountpoint;
    fields >> id >> parent >> number >> root >> mountpoint;
    if (mountpoint == wanted) devices.push_back(number);
  }
  return devices;
}

fuse_session* NewSession(Repository& repository, const std::vector<std::string>& options) {
  std::vector<std::string> words{"thinlayer-cvmfs"};
  for (const std::string& option : options) words.insert(words.end(), {"-o", Escaped(option)});
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  fuse_session* session = fuse_session_new(&arguments, &Operations(), sizeof(fuse_lowlevel_ops), &repository);
  fuse_opt_free_args(&arguments);
  return session;
}

}  // namespace

Session::Session(Repository& repository, const std::string& mountpoint, const std::vector<std::string>& options,
                 Ended ended)
    : repository_(repository), mountpoint_(mountpoint), ended_(std::move(ended)) {
  PrepareProcess();
  std::string log;
  log_of_thread = &log;
  session_ = NewSession(repository, options);
  errno = session_ ? 0 : EINVAL;
  bool mounted = session_ && fuse_session_mount(session_, mountpoint.c_str()) == 0;
  int error = errno != 0 ? errno : EIO;
  log_of_thread = nullptr;
  if (!mounted) {
    if (session_) fuse_session_destroy(session_);
    FailWith(error, "mount", mountpoint, log.substr(0, log.find_last_not_of('\n') + 1));
  }
  if (auto devices = DevicesAt(mountpoint); !devices.empty()) device_ = devices.back();
  thread_ = std::thread([this] { Loop(); });
}

Session::~Session() { Unmount(); }

void Session::Loop() {
  BlockSignals();
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  // None of them waits for the network; some may wait for the disk.
  unsigned threads = std::clamp(2 * std::thread::hardware_concurrency(), 4u, 16u);
  fuse_loop_cfg_set_max_threads(config, threads);
  fuse_loop_cfg_set_idle_threads(config, static_cast<int>(threads));
  int result = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  // Who waits for an object now waits in vain.
  repository_.misses.Close(ENOTCONN);
  std::unique_lock<std::mutex> lock(mutex_);
  loop_over_ = true;
  bool asked = stopping_;
  over_.notify_all();
  lock.unlock();
  if (!asked) ended_(result < 0 ? -result : 0);
}

bool Session::Unmount() {
  if (!session_) return true;
  bool gone = DetachMount();
  StopLoop();
  repository_.misses.Join();
  // Closes the last descriptors of the device: the kernel gives up what is still open.
  fuse_session_destroy(session_);
  session_ = nullptr;
  return gone;
}

// What somebody else mounted over it is his, and would go with it.
bool Session::DetachMount() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  const std::vector<std::string> devices = DevicesAt(mountpoint_);
  if (std::find(devices.begin(), devices.end(), device_) == devices.end()) return true;
  if (devices.back() != device_) return false;
  return umount2(mountpoint_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL;  // somebody was faster
}

// The signal may come before the loop sleeps: it is sent until the loop is over.
void Session::StopLoop() {
  repository_.misses.Close(ENOTCONN);
  fuse_session_exit(session_);
  std::unique_lock<std::mutex> lock(mutex_);
  while (!loop_over_) {
    pthread_kill(thread_.native_handle(), kWakeSignal);
    over_.wait_for(lock, std::chrono::milliseconds(10));
  }
  lock.unlock();
  thread_.join();
}

}  // namespace thinlayer::cvmfs
