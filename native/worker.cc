#include "worker.h"

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace thinlayer {

void Fail(const char* syscall, const std::string& path, const std::string& detail) {
  FailWith(errno, syscall, path, detail);
}

void FailWith(int number, const char* syscall, const std::string& path, const std::string& detail) {
  throw SyscallError{number, syscall, path, detail};
}

Napi::Error ToJs(Napi::Env env, const SyscallError& error) {
  const char* name = strerrorname_np(error.number);
  std::string code = name ? name : "E" + std::to_string(error.number);
  std::string text = error.syscall + (error.path.empty() ? "" : " " + error.path) + ": " + code + " (" +
                     strerror(error.number) + ")" + (error.detail.empty() ? "" : ": " + error.detail);
  Napi::Error js = Napi::Error::New(env, text);
  js.Set("errno", Napi::Number::New(env, error.number));
  js.Set("code", code);
  js.Set("syscall", error.syscall);
  js.Set("path", error.path);
  js.Set("detail", error.detail);
  return js;
}

namespace {

// Threads are started when work comes, and stay. A process-wide set: it outlives any JavaScript environment, and
// is never joined, since a thread that hangs in the kernel would keep the process from ending.
class Pool {
 public:
  explicit Pool(size_t limit) : limit_(limit) {}

  // Throws SyscallError if there is no thread for it.
  void Post(std::function<void()> task) {
    Queue(std::move(task));
    ready_.notify_one();  // without the lock, which the woken thread would wait for at once
  }

 private:
  void Queue(std::function<void()> task) {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    if (idle_ >= tasks_.size() || threads_ >= limit_) return;
    try {
      std::thread([this] { Loop(); }).detach();
      ++threads_;
    } catch (const std::system_error& error) {
      if (threads_ > 0) return;  // one of those gets to it
      tasks_.pop_back();
      FailWith(error.code().value(), "pthread_create", "", "raise the limit of tasks (TasksMax, pids.max)");
    }
  }

  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      ++idle_;
      ready_.wait(lock, [this] { return !tasks_.empty(); });
      --idle_;
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;
  size_t threads_ = 0;
  size_t idle_ = 0;
};

Pool& PoolOf(Lane lane) {
  static Pool* mounts = new Pool(16);
  static Pool* files = new Pool(std::max(4u, std::thread::hardware_concurrency()));
  static Pool* records = new Pool(16);
  static Pool* remotes = new Pool(64);
  static Pool* merged = new Pool(16);
  static Pool* remoteMounts = new Pool(16);
  if (lane == Lane::kMount) return *mounts;
  if (lane == Lane::kRemote) return *remotes;
  if (lane == Lane::kMerged) return *merged;
  if (lane == Lane::kRemoteMount) return *remoteMounts;
  return lane == Lane::kFile ? *files : *records;
}

// A job under way: made and settled on the JavaScript thread, run on a worker.
struct Pending {
  Pending(Napi::Env env, std::unique_ptr<Job> work) : deferred(env), job(std::move(work)) {}
  Napi::Promise::Deferred deferred;
  std::unique_ptr<Job> job;
  std::optional<SyscallError> error;

  void Run() {
    try {
      job->Run();
    } catch (const SyscallError& e) {
      error = e;
    } catch (const std::bad_alloc&) {
      error = SyscallError{ENOMEM, "malloc", "", ""};
    }
  }

  void Settle(Napi::Env env) {
    Napi::HandleScope scope(env);
    if (error) {
      deferred.Reject(ToJs(env, *error).Value());
      return;
    }
    try {
      deferred.Resolve(job->Result(env));
    } catch (const Napi::Error& e) {
      deferred.Reject(e.Value());
    }
  }
};

void SettleOnJs(Napi::Env env, Napi::Function callback, std::nullptr_t* context, Pending* pending);
using Done = Napi::TypedThreadSafeFunction<std::nullptr_t, Pending, SettleOnJs>;

// One environment's way back to its thread; it keeps the event loop alive only while jobs are under way.
struct Home {
  Done done;
  size_t pending = 0;
};

void SettleOnJs(Napi::Env env, Napi::Function, std::nullptr_t*, Pending* pending) {
  std::unique_ptr<Pending> owned(pending);
  if (env == nullptr) return;  // the environment is being torn down
  Home* home = env.GetInstanceData<Home>();
  if (--home->pending == 0) home->done.Unref(env);
  owned->Settle(env);
}

std::pair<Pending*, Done> Admit(Napi::Env env, std::unique_ptr<Job> job) {
  Home* home = env.GetInstanceData<Home>();
  if (home->pending++ == 0) home->done.Ref(env);
  return {new Pending(env, std::move(job)), home->done};
}

void Return(Pending* pending, const Done& done) {
  if (done.BlockingCall(pending) != napi_ok) delete pending;
}

void RunAndReturn(Pending* pending, const Done& done) {
  pending->Run();
  Return(pending, done);
}

// Answers false, with the job on its way back, if no thread can run `task`.
bool PostOrReturn(Lane lane, std::function<void()> task, Pending* pending, const Done& done) {
  try {
    PoolOf(lane).Post(std::move(task));
    return true;
  } catch (const SyscallError& error) {
    pending->error = error;
    Return(pending, done);
    return false;
  }
}

}  // namespace

void InitWorkers(Napi::Env env) {
  Home* home = new Home();
  home->done = Done::New(env, "thinlayer", 0, 1);
  home->done.Unref(env);
  env.SetInstanceData(home);
}

Napi::Promise Submit(Napi::Env env, Lane lane, std::unique_ptr<Job> job) {
  auto [pending, done] = Admit(env, std::move(job));
  Napi::Promise promise = pending->deferred.Promise();
  PostOrReturn(lane, [pending = pending, done = done] { RunAndReturn(pending, done); }, pending, done);
  return promise;
}

struct Strand::State {
  explicit State(Lane l) : lane(l) {}
  const Lane lane;
  std::mutex mutex;
  std::deque<std::function<void()>> waiting;
  bool running = false;
};

Strand::Strand(Lane lane) : state_(std::make_shared<State>(lane)) {}
Strand::~Strand() = default;

Napi::Promise Strand::Submit(Napi::Env env, std::unique_ptr<Job> job) {
  auto [pending, done] = Admit(env, std::move(job));
  Napi::Promise promise = pending->deferred.Promise();
  std::shared_ptr<State> state = state_;
  std::lock_guard<std::mutex> lock(state->mutex);
  state->waiting.push_back([pending = pending, done = done] { RunAndReturn(pending, done); });
  if (state->running) return promise;
  auto run_all = [state] {
    std::unique_lock<std::mutex> held(state->mutex);
    while (!state->waiting.empty()) {
      std::function<void()> task = std::move(state->waiting.front());
      state->waiting.pop_front();
      held.unlock();
      task();
      held.lock();
    }
    state->running = false;
  };
  state->running = PostOrReturn(state->lane, run_all, pending, done);
  if (!state->running) state->waiting.pop_back();
  return promise;
}

}  // namespace thinlayer
