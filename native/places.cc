// Directories in network file systems, whoever mounts them: to look may wait for long, hence the lane.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon.h"
#include "call.h"
#include "fd.h"
#include "worker.h"

namespace thinlayer {

namespace {

constexpr int kDirectory = O_PATH | O_DIRECTORY | O_CLOEXEC;  // autofs mounts what is opened as a directory

Fd OpenBelow(const Fd& top, const std::string& path) {
  struct open_how how = {};
  how.flags = kDirectory;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof(how))));
}

bool IsNoDirectory(int number) { return number == ENOTDIR || number == ELOOP; }

[[noreturn]] void FailNoDirectory(const std::string& path) {
  FailWith(ENOTDIR, "openat2", path, "a file or a symlink is there, or on the way there, where a directory has to be");
}

// What is no directory is told only if no other path is one.
std::optional<std::string> Locate(const std::string& root, const std::vector<std::string>& paths) {
  Fd top(open(root.c_str(), kDirectory));
  if (!top) Fail("open", root);
  std::optional<std::string> no_directory;
  for (const std::string& path : paths) {
    if (OpenBelow(top, path)) return root + "/" + path;
    if (IsNoDirectory(errno)) no_directory = root + "/" + path;
    else if (errno != ENOENT) Fail("openat2", root + "/" + path);
  }
  if (no_directory) FailNoDirectory(*no_directory);
  return std::nullopt;
}

std::vector<std::string> Strings(const Napi::Array& array) {
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) strings.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return strings;
}

Napi::Value LocateDirectoryJs(const Napi::CallbackInfo& info) {
  using Found = std::optional<std::string>;
  return Submit(info.Env(), Lane::kMount,
                std::make_unique<FunctionJob<Found>>(
                    [root = StringAt(info, 0), paths = Strings(info[1].As<Napi::Array>())] { return Locate(root, paths); },
                    [](Napi::Env env, Found& found) -> Napi::Value {
                      if (!found) return env.Null();
                      return Napi::String::New(env, *found);
                    }));
}

}  // namespace

void RegisterPlaces(Napi::Env env, Napi::Object exports) {
  exports.Set("locateDirectory", Napi::Function::New(env, LocateDirectoryJs, "locateDirectory"));
}

}  // namespace thinlayer
