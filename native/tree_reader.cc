// `new TreeWalk(root, only, namesOnly, remote)`, `next(data)`, `close()`: the walk of tree_walk.h, a batch at a time.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "addon.h"
#include "call.h"
#include "tree_walk.h"
#include "worker.h"

namespace thinlayer {

namespace {

// Paths separated by NUL, the last one followed by it.
std::unordered_set<std::string> SplitPaths(const char* text, size_t length) {
  std::unordered_set<std::string> paths;
  for (const char *at = text, *end = text + length; at < end;) {
    std::string path(at);
    at += path.size() + 1;
    paths.insert(std::move(path));
  }
  return paths;
}

class FillJob : public Job {
 public:
  FillJob(std::shared_ptr<TreeWalk> walk, Napi::Buffer<uint8_t> data)
      : walk_(std::move(walk)), data_(data.Data()), capacity_(data.Length()), hold_(Napi::Persistent(data)) {}

  void Run() override { used_ = walk_->Fill(data_, capacity_); }

  Napi::Value Result(Napi::Env env) override {
    const std::string& entries = walk_->table();
    Napi::ArrayBuffer table = Napi::ArrayBuffer::New(env, entries.size());
    // Not memcpy: an empty ArrayBuffer has no memory, and memcpy takes no null.
    std::copy(entries.begin(), entries.end(), static_cast<char*>(table.Data()));
    Napi::Object result = Napi::Object::New(env);
    result.Set("used", static_cast<double>(used_));
    result.Set("table", table);
    result.Set("done", walk_->done());
    return result;
  }

 private:
  std::shared_ptr<TreeWalk> walk_;
  uint8_t* data_;
  size_t capacity_;
  Napi::Reference<Napi::Buffer<uint8_t>> hold_;  // keeps the memory while it is written
  size_t used_ = 0;
};

class TreeWalkObject : public Napi::ObjectWrap<TreeWalkObject> {
 public:
  explicit TreeWalkObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TreeWalkObject>(info) {
    std::optional<std::unordered_set<std::string>> only;
    if (info[1].IsBuffer()) {
      auto paths = info[1].As<Napi::Buffer<char>>();
      only = SplitPaths(paths.Data(), paths.Length());
    }
    const bool names_only = info[2].ToBoolean();
    // Whose contents are not wanted may lie on a network: it must not hold up those that wait for disks.
    lane_ = names_only ? Lane::kRemote : TreeLaneAt(info, 3);
    walk_ = std::make_shared<TreeWalk>(info[0].As<Napi::String>().Utf8Value(), std::move(only), names_only);
  }

  // One call at a time: the next one only after the promise of the last is settled.
  Napi::Value Next(const Napi::CallbackInfo& info) {
    return Submit(info.Env(), lane_, std::make_unique<FillJob>(walk_, info[0].As<Napi::Buffer<uint8_t>>()));
  }

  // Gives the descriptors back, after a call that is under way.
  void Close(const Napi::CallbackInfo&) { walk_.reset(); }

 private:
  std::shared_ptr<TreeWalk> walk_;
  Lane lane_;
};

}  // namespace

void RegisterTreeReader(Napi::Env env, Napi::Object exports) {
  exports.Set("TreeWalk", TreeWalkObject::DefineClass(
                              env, "TreeWalk",
                              {TreeWalkObject::InstanceMethod("next", &TreeWalkObject::Next),
                               TreeWalkObject::InstanceMethod("close", &TreeWalkObject::Close)}));
}

}  // namespace thinlayer
