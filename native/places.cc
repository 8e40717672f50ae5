// Directories in network file systems, whoever mounts them: to look may wait for long, hence the lane.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon.h"
#include "call.h"
#include "directory.h"
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

// Asks no server. Before Linux 5.8 nobody can tell: then it is taken for one.
bool IsMountRoot(const Fd& directory, const std::string& path) {
  struct statx status;
  if (statx(directory.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &status) != 0) Fail("statx", path);
  return (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 ||
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool IsEmpty(const Fd& directory, const std::string& path) {
  Fd readable = OpenDirectory(directory.get(), ".", path);
  return readable && List(readable.get(), path).empty();
}

// A repository can lie there without being a mount: where all of /cvmfs is one, or a copy.
std::string LookAtRepository(const std::string& root, const std::string& name) {
  const std::string path = root + "/" + name;
  Fd top(open(root.c_str(), kDirectory));
  if (!top && errno == ENOENT) return "absent";
  if (!top) Fail("open", root);
  Fd found = OpenBelow(top, name);
  if (!found && errno == ENOENT) return "absent";
  if (!found && IsNoDirectory(errno)) FailNoDirectory(path);
  if (!found) Fail("openat2", path);
  return IsMountRoot(found, path) || !IsEmpty(found, path) ? "there" : "empty";
}

std::vector<std::string> Strings(const Napi::Array& array) {
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) strings.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return strings;
}

Napi::Value LocateDirectoryJs(const Napi::CallbackInfo& info) {
  using Found = std::optional<std::string>;
  return Submit(info.Env(), Lane::kRemote,
                std::make_unique<FunctionJob<Found>>(
                    [root = StringAt(info, 0), paths = Strings(info[1].As<Napi::Array>())] { return Locate(root, paths); },
                    [](Napi::Env env, Found& found) -> Napi::Value {
                      if (!found) return env.Null();
                      return Napi::String::New(env, *found);
                    }));
}

Napi::Value LookAtRepositoryJs(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kRemote,
                std::make_unique<FunctionJob<std::string>>(
                    [root = StringAt(info, 0), name = StringAt(info, 1)] { return LookAtRepository(root, name); },
                    [](Napi::Env env, std::string& state) { return Napi::String::New(env, state); }));
}

}  // namespace

void RegisterPlaces(Napi::Env env, Napi::Object exports) {
  exports.Set("locateDirectory", Napi::Function::New(env, LocateDirectoryJs, "locateDirectory"));
  exports.Set("lookAtRepository", Napi::Function::New(env, LookAtRepositoryJs, "lookAtRepository"));
}

}  // namespace thinlayer
