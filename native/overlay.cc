// What both ways to mount share.
#include "overlay.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <exception>
#include <system_error>
#include <thread>

#include "worker.h"

namespace thinlayer {

const MountFlag* FindMountFlag(const std::string& option) {
  static const MountFlag kFlags[] = {
      {"nodev", MS_NODEV, MOUNT_ATTR_NODEV, false},
      {"nosuid", MS_NOSUID, MOUNT_ATTR_NOSUID, false},
      {"noexec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, false},
      {"noatime", MS_NOATIME, MOUNT_ATTR_NOATIME, false},
      {"nodiratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, false},
      {"relatime", MS_RELATIME, MOUNT_ATTR_RELATIME, false},
      {"sync", MS_SYNCHRONOUS, 0, true},
      {"dirsync", MS_DIRSYNC, 0, true},
  };
  for (const MountFlag& flag : kFlags) {
    if (option == flag.name) return &flag;
  }
  return nullptr;
}

namespace {

std::string Below(const std::string& home, const std::string& path) {
  bool below = path.size() > home.size() + 1 && path.compare(0, home.size(), home) == 0 && path[home.size()] == '/';
  return below ? path.substr(home.size() + 1) : path;
}

// A working directory belongs to all threads of a process unless one asks for its own. It cannot be shared again,
// so that thread must not serve anybody else afterwards.
void EnterHome(const std::string& home) {
  if (unshare(CLONE_FS) != 0) Fail("unshare", home);
  if (chdir(home.c_str()) != 0) Fail("chdir", home);
}

// Paths elsewhere stay absolute.
OverlayMount RelativeToHome(const OverlayMount& mount) {
  OverlayMount relative = mount;
  for (std::string& lower : relative.lowers) lower = Below(mount.home, lower);
  relative.upper = Below(mount.home, mount.upper);
  relative.work = Below(mount.home, mount.work);
  return relative;
}

}  // namespace

void InHome(const OverlayMount& mount, void (*make)(const OverlayMount&)) {
  std::exception_ptr failure;
  try {
    std::thread([&] {
      try {
        EnterHome(mount.home);
        make(RelativeToHome(mount));
      } catch (...) {
        failure = std::current_exception();
      }
    }).join();
  } catch (const std::system_error& e) {
    FailWith(e.code().value(), "pthread_create", mount.target);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace thinlayer
