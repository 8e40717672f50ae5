// The addon thinlayer_cvmfs as JavaScript sees it: mountRepository.
#include <malloc.h>
#include <napi.h>

#include <cerrno>
#include <cstdint>

#include "../worker.h"
#include "inflater.h"
#include "query.h"
#include "refresh.h"
#include "session.h"
#include "store_object.h"

namespace thinlayer::cvmfs {
namespace {

struct Question {
  uint64_t number;
  Missing missing;
};

// One character a byte: names need not be UTF-8.
Napi::String ByteString(Napi::Env env, const std::string& bytes) {
  std::u16string text;
  for (unsigned char byte : bytes) text += static_cast<char16_t>(byte);
  return Napi::String::New(env, text);
}

Napi::Object Describe(Napi::Env env, const Missing& missing) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("object", missing.object);
  object.Set("compressed", missing.compressed);
  object.Set("size", static_cast<double>(missing.size));
  object.Set("path", missing.path);
  return object;
}

void CallMiss(Napi::Env env, Napi::Function on_miss, std::nullptr_t*, Question* question) {
  std::unique_ptr<Question> owned(question);
  if (env == nullptr) return;  // the environment is being torn down
  Napi::Object miss = Describe(env, owned->missing);
  miss.Set("number", static_cast<double>(owned->number));
  miss.Set("pathBytes", ByteString(env, owned->missing.path));
  miss.Set("external", owned->missing.external);
  miss.Set("offset", static_cast<double>(owned->missing.offset));
  miss.Set("damaged", owned->missing.damaged);
  on_miss.Call({miss});
}
using MissCall = Napi::TypedThreadSafeFunction<std::nullptr_t, Question, CallMiss>;

using Questions = std::vector<Missing>;

void CallAhead(Napi::Env env, Napi::Function on_ahead, std::nullptr_t*, Questions* questions) {
  std::unique_ptr<Questions> owned(questions);
  if (env == nullptr) return;  // the environment is being torn down
  Napi::Array files = Napi::Array::New(env, owned->size());
  for (uint32_t i = 0; i < owned->size(); ++i) files.Set(i, Describe(env, (*owned)[i]));
  on_ahead.Call({files});
}
using AheadCall = Napi::TypedThreadSafeFunction<std::nullptr_t, Questions, CallAhead>;

void CallEnd(Napi::Env env, Napi::Function on_end, std::nullptr_t*, int* error) {
  std::unique_ptr<int> owned(error);
  if (env != nullptr) on_end.Call({Napi::Number::New(env, *owned)});
}
using EndCall = Napi::TypedThreadSafeFunction<std::nullptr_t, int, CallEnd>;

// One mount. Jobs on it run one after the other: a refresh never overlaps with the end.
struct Mount {
  Mount(RepositoryOptions options, bool looks_ahead)
      : repository(std::move(options), [this](uint64_t number, const Missing& missing) { Ask(number, missing); },
                   looks_ahead ? [this](const Questions& objects) { AskAhead(objects); } : LookAhead::Ask()) {}

  void Ask(uint64_t number, const Missing& missing) {
    repository.counters.misses++;
    auto question = std::make_unique<Question>(Question{number, missing});
    if (miss.NonBlockingCall(question.get()) == napi_ok) question.release();
    else repository.misses.Complete(number, EIO);
  }

  // Nobody waits for them.
  void AskAhead(const Questions& objects) {
    auto questions = std::make_unique<Questions>(objects);
    if (ahead.NonBlockingCall(questions.get()) == napi_ok) questions.release();
  }

  void Release() {
    miss.Release();
    ahead.Release();
    end.Release();
  }

  MissCall miss;
  AheadCall ahead;
  EndCall end;
  Repository repository;
  std::unique_ptr<Session> session;
  Strand strand{Lane::kMount};
  // While it is mounted, whatever JavaScript forgets; so the end of the process ends no thread of it.
  std::shared_ptr<Mount> self;
};
using MountPtr = std::shared_ptr<Mount>;

Xattrs StringsByName(const Napi::Value& value) {
  Xattrs strings;
  Napi::Object object = value.As<Napi::Object>();
  Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    std::string name = names.Get(i).As<Napi::String>().Utf8Value();
    strings[name] = object.Get(name).As<Napi::String>().Utf8Value();
  }
  return strings;
}

std::vector<std::string> Strings(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) strings.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return strings;
}

std::optional<uint32_t> MaybeId(const Napi::Value& value) {
  if (!value.IsNumber()) return std::nullopt;
  return value.As<Napi::Number>().Uint32Value();
}

// {all, others: number or null, map: [from, to, from, to, ...], ranges: [inside, outside, size, ...]}
IdMap ParseIds(const Napi::Value& value) {
  Napi::Object object = value.As<Napi::Object>();
  IdMap ids;
  ids.all = MaybeId(object.Get("all"));
  ids.others = MaybeId(object.Get("others"));
  Napi::Array pairs = object.Get("map").As<Napi::Array>();
  for (uint32_t i = 0; i + 1 < pairs.Length(); i += 2) ids.map[*MaybeId(pairs.Get(i))] = *MaybeId(pairs.Get(i + 1));
  Napi::Array ranges = object.Get("ranges").As<Napi::Array>();
  for (uint32_t i = 0; i + 2 < ranges.Length(); i += 3) {
    ids.ranges.push_back({*MaybeId(ranges.Get(i)), *MaybeId(ranges.Get(i + 1)), *MaybeId(ranges.Get(i + 2))});
  }
  return ids;
}

ListedMagic ParseListedMagic(const std::string& word) {
  if (word == "never") return ListedMagic::kNowhere;
  return word == "always" ? ListedMagic::kEverywhere : ListedMagic::kAtRoot;
}

RepositoryOptions ParseOptions(const Napi::Object& o) {
  RepositoryOptions options;
  options.fqrn = o.Get("fqrn").As<Napi::String>().Utf8Value();
  options.cache = o.Get("cache").As<Napi::String>().Utf8Value();
  options.uids = ParseIds(o.Get("uids"));
  options.gids = ParseIds(o.Get("gids"));
  options.layers = o.Get("layers").As<Napi::Boolean>().Value();
  options.listed_magic = ParseListedMagic(o.Get("magicXattrs").As<Napi::String>().Utf8Value());
  options.kernel_cache_seconds = o.Get("kernelCacheSeconds").As<Napi::Number>().DoubleValue();
  options.variables = StringsByName(o.Get("variables"));
  return options;
}

Napi::Promise SubmitOn(Napi::Env env, const MountPtr& mount, std::function<void(Mount&)> work) {
  return mount->strand.Submit(env, std::make_unique<FunctionJob<bool>>(
                                       [mount, work = std::move(work)] { return work(*mount), true; },
                                       [](Napi::Env e, bool&) { return e.Undefined(); }));
}

void SetRoot(Mount& mount, const std::string& object, uint64_t revision) {
  if (!mount.session) FailWith(ENOTCONN, "setRoot", object, "it is unmounted");
  try {
    Refresh(mount.repository, mount.session->handle(), object, revision);
  } catch (const Missing& missing) {
    if (missing.damaged) FailWith(EBADMSG, "setRoot", object, "it is no catalog that can be read");
    FailWith(ENOENT, "setRoot", object, "it is not in the cache");
  } catch (const Fault& fault) {
    // A catalog that is bad is Missing, and damaged.
    FailWith(EAGAIN, "setRoot", object, "its file in the cache cannot be opened: no descriptors or memory left, or no file of ours");
  }
}

Napi::Value SetRootJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  std::string object = info[0].As<Napi::String>().Utf8Value();
  auto revision = static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue());
  return SubmitOn(info.Env(), mount, [object, revision](Mount& m) { SetRoot(m, object, revision); });
}

Napi::Value CompleteJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  auto number = static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue());
  mount->repository.misses.Complete(number, info[1].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

Napi::Value TakeUsedJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  std::vector<std::string> used = mount->repository.objects.TakeUsed();
  if (auto tree = mount->repository.TreeOrNull()) {
    for (std::string& object : tree->LoadedObjects()) used.push_back(std::move(object));
  }
  Napi::Array array = Napi::Array::New(info.Env(), used.size());
  for (uint32_t i = 0; i < used.size(); ++i) array.Set(i, used[i]);
  return array;
}

Napi::Value LetGoJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  mount->repository.LetGo();
  return info.Env().Undefined();
}

Napi::Value ForgetContentsJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  return SubmitOn(info.Env(), mount, [](Mount& m) {
    m.repository.LetGo();
    if (m.session) ForgetContents(m.repository, m.session->handle());
  });
}

Napi::Value SetMagicJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  mount->repository.SetMagic(StringsByName(info[0]));
  return info.Env().Undefined();
}

Napi::Value StatisticsJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  Repository& repository = mount->repository;
  const Counters& counters = repository.counters;
  auto tree = repository.TreeOrNull();
  const std::pair<const char*, uint64_t> all[] = {{"lookups", counters.lookups},
                                                  {"opens", counters.opens},
                                                  {"listings", counters.listings},
                                                  {"reads", counters.reads},
                                                  {"bytesRead", counters.bytes_read},
                                                  {"misses", counters.misses},
                                                  {"failures", counters.failures},
                                                  {"waiting", repository.misses.waiting()},
                                                  {"inodes", repository.inodes.size()},
                                                  {"catalogs", tree ? tree->LoadedObjects().size() : 0},
                                                  {"revision", tree ? tree->revision() : 0}};
  Napi::Object object = Napi::Object::New(info.Env());
  for (const auto& [name, value] : all) object.Set(name, static_cast<double>(value));
  return object;
}

// Those who wait for objects must not be waited for.
Napi::Value UnmountJs(const MountPtr& mount, const Napi::CallbackInfo& info) {
  mount->repository.misses.Close(ENOTCONN);
  return SubmitOn(info.Env(), mount, [](Mount& m) {
    if (!m.session) return;
    const std::unique_ptr<Session> session = std::move(m.session);
    const bool gone = session->Unmount();
    m.repository.Close();
    m.self.reset();  // the job has another reference
    m.Release();
    if (gone) return;
    FailWith(EBUSY, "umount", session->mountpoint(),
             "it stays there, and nobody serves it any more; unmount it by hand, after what is mounted over it");
  });
}

Napi::Object Wrap(Napi::Env env, const MountPtr& mount) {
  using Method = Napi::Value (*)(const MountPtr&, const Napi::CallbackInfo&);
  const std::pair<const char*, Method> methods[] = {{"setRoot", SetRootJs},       {"complete", CompleteJs},
                                                    {"takeUsed", TakeUsedJs},     {"letGo", LetGoJs},
                                                    {"setMagic", SetMagicJs},     {"forgetContents", ForgetContentsJs},
                                                    {"statistics", StatisticsJs}, {"unmount", UnmountJs}};
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, method] : methods) {
    auto call = [mount, method = method](const Napi::CallbackInfo& info) { return method(mount, info); };
    object.Set(name, Napi::Function::New(env, call, name));
  }
  return object;
}

// (options, onMiss, onAhead, onEnd(errno)). The mount keeps the event loop alive.
Napi::Value MountRepository(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = info[0].As<Napi::Object>();
  MountPtr mount = std::make_shared<Mount>(ParseOptions(options), options.Get("looksAhead").As<Napi::Boolean>().Value());
  mount->miss = MissCall::New(env, info[1].As<Napi::Function>(), "thinlayer miss", 0, 1);
  mount->ahead = AheadCall::New(env, info[2].As<Napi::Function>(), "thinlayer ahead", 0, 1);
  mount->end = EndCall::New(env, info[3].As<Napi::Function>(), "thinlayer end", 0, 1);
  std::string mountpoint = options.Get("mountpoint").As<Napi::String>().Utf8Value();
  auto run = [mount, mountpoint, words = Strings(options.Get("mountOptions"))] {
    auto ended = [raw = mount.get()](int error) {
      auto value = std::make_unique<int>(error);
      if (raw->end.NonBlockingCall(value.get()) == napi_ok) value.release();
    };
    try {
      mount->session = std::make_unique<Session>(mount->repository, mountpoint, words, ended);
    } catch (...) {
      mount->Release();
      throw;
    }
    mount->self = mount;
    return true;
  };
  return mount->strand.Submit(
      env, std::make_unique<FunctionJob<bool>>(run, [mount](Napi::Env e, bool&) { return Wrap(e, mount); }));
}

// Each thread would keep a heap of its own, and what a large body took. A machine runs such a process for each repository.
void KeepMemorySmall() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

// What was freed in between of what is used. Takes a few milliseconds.
Napi::Value TrimMemory(const Napi::CallbackInfo& info) {
  malloc_trim(0);
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  KeepMemorySmall();
  InitWorkers(env);
  exports.Set("mountRepository", Napi::Function::New(env, MountRepository, "mountRepository"));
  exports.Set("storeObject", Napi::Function::New(env, StoreObject, "storeObject"));
  RegisterInflater(env, exports);
  exports.Set("queryDatabase", Napi::Function::New(env, QueryDatabase, "queryDatabase"));
  exports.Set("trimMemory", Napi::Function::New(env, TrimMemory, "trimMemory"));
  return exports;
}

NODE_API_MODULE(thinlayer_cvmfs, Init)

}  // namespace
}  // namespace thinlayer::cvmfs
