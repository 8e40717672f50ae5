// Overlay mounts, made and taken away.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "addon.h"
#include "call.h"
#include "overlay.h"
#include "worker.h"

namespace thinlayer {

namespace {

// A volatile mount leaves this mark, for the next mount to notice that data may have been lost. Who asks for `volatile`
// accepts that; without this a container could be started only once.
void ForgetVolatile(const OverlayMount& mount) {
  for (const std::string& option : mount.options) {
    if (option != "volatile" || mount.upper.empty()) continue;
    std::string mark = mount.work + "/work/incompat/volatile";
    if (unlink((mark + "/dirty").c_str()) != 0 && errno != ENOENT) Fail("unlink", mark + "/dirty");
    if (rmdir(mark.c_str()) != 0 && errno != ENOENT) Fail("rmdir", mark);
  }
}

// Like lchown(2), which writes to the journal also when nothing changes: nearly always.
int Give(const std::string& path, uid_t uid, gid_t gid) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return -1;
  return status.st_uid == uid && status.st_gid == gid ? 0 : lchown(path.c_str(), uid, gid);
}

// A symlink is none: the mount would be where it leads to.
bool IsDirectory(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) Fail("lstat", path);
  return S_ISDIR(status.st_mode);
}

void MakeTarget(const OverlayMount& mount) {
  if (mkdir(mount.target.c_str(), 0700) == 0) {
    if (Give(mount.target, mount.uid, mount.gid) != 0) Fail("chown", mount.target);
  } else if (errno != EEXIST) {
    Fail("mkdir", mount.target);
  } else if (!IsDirectory(mount.target)) {
    FailWith(ENOTDIR, "mkdir", mount.target, "something else is in the mount's place; move it away");
  }
}

// Where the kernel cannot make work/work, on a full disk, it mounts read-only, and tells its log alone why
// (ovl_make_workdir). We make it too, to hear the reason. If it can be made by now there is none, and the answer is false.
bool FailWithoutWork(const std::string& work) {
  if (mkdir(work.c_str(), 0) != 0) Fail("mkdir", work);
  if (rmdir(work.c_str()) != 0) Fail("rmdir", work);
  return false;
}

// The kernel makes work/work as itself; a container's root that is mapped to another id must own it.
bool GiveWork(const OverlayMount& mount) {
  if (mount.upper.empty()) return true;
  std::string work = mount.work + "/work";
  if (Give(work, mount.uid, mount.gid) == 0) return true;
  int number = errno;
  umount2(mount.target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (number == ENOENT) return FailWithoutWork(work);
  FailWith(number, "chown", work);
}

// False: the mount was read-only for want of work/work, and is gone; to mount once more may help.
bool MountWithWork(const OverlayMount& mount) {
  mount.fsopen ? MountByFsopen(mount) : MountByOptions(mount);
  return GiveWork(mount);
}

void MountOverlay(const OverlayMount& mount) {
  try {
    MakeTarget(mount);
    ForgetVolatile(mount);
    if (MountWithWork(mount) || MountWithWork(mount)) return;
    FailWith(EAGAIN, "mount", mount.target, "the kernel could not make work/work, and mounted read-only");
  } catch (...) {
    rmdir(mount.target.c_str());
    throw;
  }
}

// Mounts are stacked if a former daemon was killed between its mount and its record: then the directory is busy still. One that holds
// something, or whose file system is read-only, stays: nothing is mounted on it, and that is what a caller has to know.
void Unmount(const std::string& path) {
  for (;;) {
    bool unmounted = umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0;
    if (!unmounted && errno == ENOENT) return;
    if (!unmounted && errno != EINVAL) Fail("umount", path);
    if (rmdir(path.c_str()) == 0 || errno == ENOENT) return;
    if (unmounted) continue;
    if (errno == EBUSY) Fail("rmdir", path);
    return;
  }
}

std::string StringOf(const Napi::Object& object, const char* key) {
  Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
}

// Each followed by a NUL: one string from JavaScript takes a fraction of the time of many.
std::vector<std::string> StringsOf(const Napi::Object& object, const char* key) {
  const std::string joined = StringOf(object, key);
  std::vector<std::string> strings;
  for (size_t at = 0; at < joined.size(); at += strings.back().size() + 1) strings.emplace_back(joined.c_str() + at);
  return strings;
}

OverlayMount ParseMount(const Napi::Object& o) {
  return OverlayMount{StringOf(o, "target"),
                      StringsOf(o, "lowers"),
                      StringOf(o, "upper"),
                      StringOf(o, "work"),
                      StringsOf(o, "options"),
                      StringOf(o, "context"),
                      StringOf(o, "home"),
                      StringOf(o, "api") == "fsopen",
                      o.Get("uid").As<Napi::Number>().Uint32Value(),
                      o.Get("gid").As<Napi::Number>().Uint32Value()};
}

Napi::Value MountOverlayJs(const Napi::CallbackInfo& info) {
  Napi::Object options = info[0].As<Napi::Object>();
  // The kernel asks each lower for its file system's facts, and only the server of that can answer.
  Lane lane = options.Get("remote").ToBoolean() ? Lane::kRemoteMount : Lane::kMount;
  return SubmitCall(info.Env(), lane, [mount = ParseMount(options)] { MountOverlay(mount); });
}

Napi::Value UnmountJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kMount, [path = StringAt(info, 0)] { Unmount(path); });
}

}  // namespace

void RegisterMount(Napi::Env env, Napi::Object exports) {
  exports.Set("mountOverlay", Napi::Function::New(env, MountOverlayJs, "mountOverlay"));
  exports.Set("unmount", Napi::Function::New(env, UnmountJs, "unmount"));
}

}  // namespace thinlayer
