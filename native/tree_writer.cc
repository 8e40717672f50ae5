// The JavaScript class TreeWriter: batches of records (tree_batch.h) in, promises out.
//
//   new TreeWriter(root, uid, gid, opaqueName, clears, bufferCount, bufferBytes, remote)
//     .buffers: ArrayBuffer[]          to be filled by JavaScript; not touched while a run() of it is under way
//     .open(): Promise<void>
//     .run(buffer: index, length): Promise<void>
//     .finish(): Promise<void>         times of directories
//     .abort(): void                   what was not done yet fails with ECANCELED
//     .close(): Promise<void>          closes all descriptors, off the event loop
//
// Calls run one after the other in the order they were made; after a failed one the others do nothing.
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "addon.h"
#include "call.h"
#include "tree.h"
#include "worker.h"

namespace thinlayer {

namespace {

struct WriterState {
  TreeOptions options;
  std::vector<std::unique_ptr<uint8_t[]>> buffers;
  std::unique_ptr<Tree> tree;
  std::atomic<bool> stopped{false};
};

using Shared = std::shared_ptr<WriterState>;

// After a failure nothing later is done: it could build on what is missing.
class WriterJob : public Job {
 public:
  WriterJob(Shared state, std::function<void(WriterState&)> work) : state_(std::move(state)), work_(std::move(work)) {}
  void Run() override {
    if (state_->stopped) FailWith(ECANCELED, "write", state_->options.root);
    try {
      work_(*state_);
    } catch (...) {
      state_->stopped = true;
      throw;
    }
  }

 private:
  Shared state_;
  std::function<void(WriterState&)> work_;
};

void RunBatch(WriterState& state, size_t buffer, size_t length) {
  if (!state.tree) FailWith(EBADF, "write", state.options.root, "the tree is not open");
  TreeBatch batch(state.buffers[buffer].get(), length);
  while (!batch.AtEnd()) {
    if (state.stopped) FailWith(ECANCELED, "write", state.options.root);
    state.tree->Do(batch);
  }
}

class TreeWriter : public Napi::ObjectWrap<TreeWriter> {
 public:
  static void Register(Napi::Env env, Napi::Object exports) {
    exports.Set("TreeWriter", DefineClass(env, "TreeWriter",
                                          {InstanceMethod("open", &TreeWriter::Open),
                                           InstanceMethod("run", &TreeWriter::Run),
                                           InstanceMethod("finish", &TreeWriter::Finish),
                                           InstanceMethod("abort", &TreeWriter::Abort),
                                           InstanceMethod("close", &TreeWriter::Close)}));
  }

  explicit TreeWriter(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<TreeWriter>(info), state_(std::make_shared<WriterState>()), strand_(TreeLaneAt(info, 7)) {
    state_->options.root = info[0].As<Napi::String>().Utf8Value();
    state_->options.uid = info[1].As<Napi::Number>().Uint32Value();
    state_->options.gid = info[2].As<Napi::Number>().Uint32Value();
    state_->options.opaque_name = info[3].As<Napi::String>().Utf8Value();
    state_->options.clears = info[4].As<Napi::Boolean>().Value();
    uint32_t count = info[5].As<Napi::Number>().Uint32Value();
    uint32_t bytes = info[6].As<Napi::Number>().Uint32Value();
    info.This().As<Napi::Object>().Set("buffers", MakeBuffers(info.Env(), count, bytes));
  }

 private:
  // Native memory that JavaScript sees: a job under way needs no reference that only the JavaScript thread may drop.
  Napi::Array MakeBuffers(Napi::Env env, uint32_t count, uint32_t bytes) {
    Napi::Array list = Napi::Array::New(env, count);
    for (uint32_t i = 0; i < count; ++i) {
      state_->buffers.push_back(std::unique_ptr<uint8_t[]>(new uint8_t[bytes]));
      auto release = [](Napi::Env, void*, Shared* owner) { delete owner; };
      list.Set(i, Napi::ArrayBuffer::New(env, state_->buffers[i].get(), bytes, release, new Shared(state_)));
    }
    return list;
  }

  Napi::Value Submit(Napi::Env env, std::function<void(WriterState&)> work) {
    return strand_.Submit(env, std::make_unique<WriterJob>(state_, std::move(work)));
  }

  Napi::Value Open(const Napi::CallbackInfo& info) {
    return Submit(info.Env(), [](WriterState& state) { state.tree = std::make_unique<Tree>(state.options); });
  }

  Napi::Value Run(const Napi::CallbackInfo& info) {
    uint32_t buffer = info[0].As<Napi::Number>().Uint32Value();
    uint32_t length = info[1].As<Napi::Number>().Uint32Value();
    return Submit(info.Env(), [=](WriterState& state) { RunBatch(state, buffer, length); });
  }

  Napi::Value Finish(const Napi::CallbackInfo& info) {
    return Submit(info.Env(), [](WriterState& state) { state.tree->Finish(); });
  }

  void Abort(const Napi::CallbackInfo&) { state_->stopped = true; }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    Shared state = state_;
    auto close = [state] { return state->tree.reset(), true; };
    auto undefined = [](Napi::Env env, bool&) { return env.Undefined(); };
    return strand_.Submit(info.Env(), std::make_unique<FunctionJob<bool>>(close, undefined));
  }

  Shared state_;
  Strand strand_;
};

}  // namespace

void RegisterTreeWriter(Napi::Env env, Napi::Object exports) { TreeWriter::Register(env, exports); }

}  // namespace thinlayer
