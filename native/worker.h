// Threads of our own, and the way from a JavaScript call to one of them and back as a promise.
//
// Why not libuv's pool: it has four threads, which `fs.*` needs; one mount that hangs on a dead server would
// take one of them for good, four would stop the daemon. Each kind of work has a lane of its own for the same reason.
#ifndef THINLAYER_WORKER_H_
#define THINLAYER_WORKER_H_

#include <napi.h>

#include <functional>
#include <memory>
#include <string>

namespace thinlayer {

// A failed system call: becomes an Error with `errno` (number), `code` ("ENOENT"), `syscall` and `path`.
// A fault found by us and not by the kernel has errno EINVAL or another that fits, and says so in `detail`.
struct SyscallError {
  int number;
  std::string syscall;
  std::string path;
  std::string detail;
};

[[noreturn]] void Fail(const char* syscall, const std::string& path, const std::string& detail = "");
[[noreturn]] void FailWith(int number, const char* syscall, const std::string& path, const std::string& detail = "");

Napi::Error ToJs(Napi::Env env, const SyscallError& error);

// One piece of work. Run() is on a worker thread and may throw SyscallError; it must not touch JavaScript.
// Result() is on the JavaScript thread, after Run() returned.
class Job {
 public:
  virtual ~Job() = default;
  virtual void Run() = 0;
  virtual Napi::Value Result(Napi::Env env) { return env.Undefined(); }
};

enum class Lane {
  kMount,  // mount, umount, probes, whatever reads below mounts of others: may hang for long
  kFile,   // trees, quotas
  kRecord, // small changes that wait for the journal: enough of them at once to share its commits
  kRemote, // looks into a network file system: those of a dead server must leave threads for the others
  kMerged, // trees that show what lies in a network file system: one of a dead server must hold up no other trees
  kRemoteMount, // their mounts, for the same reason
};

// Must be called on the JavaScript thread. The promise keeps the event loop alive until it is settled; it is rejected with
// EAGAIN if the kernel gives the lane no thread.
Napi::Promise Submit(Napi::Env env, Lane lane, std::unique_ptr<Job> job);

// For work whose parts must run one after the other (a tree being written): jobs of one strand never overlap
// and run in the order of submission, on whatever thread of the lane is free.
class Strand {
 public:
  explicit Strand(Lane lane);
  ~Strand();
  Napi::Promise Submit(Napi::Env env, std::unique_ptr<Job> job);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A job made of two functions, for calls that need no class of their own.
template <typename T>
class FunctionJob : public Job {
 public:
  FunctionJob(std::function<T()> run, std::function<Napi::Value(Napi::Env, T&)> result)
      : run_(std::move(run)), result_(std::move(result)) {}
  void Run() override { value_ = run_(); }
  Napi::Value Result(Napi::Env env) override { return result_(env, value_); }

 private:
  std::function<T()> run_;
  std::function<Napi::Value(Napi::Env, T&)> result_;
  T value_{};
};

// Once for each JavaScript environment, before the first Submit.
void InitWorkers(Napi::Env env);

}  // namespace thinlayer

#endif  // THINLAYER_WORKER_H_
