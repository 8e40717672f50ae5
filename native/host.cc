// Small calls on files that node:fs lacks.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "addon.h"
#include "call.h"
#include "fd.h"
#include "worker.h"

namespace thinlayer {
namespace {

int LockFile(const std::string& path, const std::string& text) {
  Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) Fail("open", path);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) Fail("flock", path);
  // Over what is there, and cut off only then: on a full disk somebody else takes what is freed in between. The lock holds
  // without its text, too.
  ssize_t written = pwrite(file.get(), text.data(), text.size(), 0);
  if (written < 0 && errno != ENOSPC && errno != EDQUOT) Fail("write", path);
  if (ftruncate(file.get(), std::max<ssize_t>(written, 0)) != 0) Fail("ftruncate", path);
  return file.release();
}

void SyncFileSystem(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) Fail("open", path);
  if (syncfs(file.get()) != 0) Fail("syncfs", path);
}

void SetXattr(const std::string& path, const std::string& name, const std::string& value) {
  if (lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) != 0) Fail(("setxattr " + name).c_str(), path);
}

std::optional<std::string> GetXattr(const std::string& path, const std::string& name) {
  std::string value(65536, '\0');  // XATTR_SIZE_MAX
  ssize_t size = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (size < 0 && errno == ENODATA) return std::nullopt;
  if (size < 0) Fail(("getxattr " + name).c_str(), path);
  value.resize(size);
  return value;
}

// Not behind trees: a repository is mounted under a lock.
Napi::Value LockFileJs(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kRecord,
                std::make_unique<FunctionJob<int>>(
                    [path = StringAt(info, 0), text = StringAt(info, 1)] { return LockFile(path, text); },
                    [](Napi::Env env, int& fd) { return Napi::Number::New(env, fd); }));
}

Napi::Value SyncfsJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kFile, [path = StringAt(info, 0)] { SyncFileSystem(path); });
}

Napi::Value SetXattrJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kFile,
                    [path = StringAt(info, 0), name = StringAt(info, 1), value = StringAt(info, 2)] {
                      SetXattr(path, name, value);
                    });
}

// Those of a network file system are asked for too.
Napi::Value GetXattrJs(const Napi::CallbackInfo& info) {
  using Value = std::optional<std::string>;
  return Submit(info.Env(), Lane::kRemote,
                std::make_unique<FunctionJob<Value>>(
                    [path = StringAt(info, 0), name = StringAt(info, 1)] { return GetXattr(path, name); },
                    [](Napi::Env env, Value& value) -> Napi::Value {
                      if (!value) return env.Null();
                      return Napi::String::New(env, *value);
                    }));
}

}  // namespace

void RegisterHost(Napi::Env env, Napi::Object exports) {
  exports.Set("lockFile", Napi::Function::New(env, LockFileJs, "lockFile"));
  exports.Set("syncfs", Napi::Function::New(env, SyncfsJs, "syncfs"));
  exports.Set("setXattr", Napi::Function::New(env, SetXattrJs, "setXattr"));
  exports.Set("getXattr", Napi::Function::New(env, GetXattrJs, "getXattr"));
}

}  // namespace thinlayer
