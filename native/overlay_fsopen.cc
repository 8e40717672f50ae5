// Linux 6.5's way: every lower directory is a parameter of its own, so that there is no limit on all of them together.
#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>

#include "fd.h"
#include "overlay.h"
#include "worker.h"

namespace thinlayer {
namespace {

// fsconfig(2) takes values of up to 255 bytes, silently a single "Invalid argument" otherwise.
constexpr size_t kMaxValue = 255;

// What the kernel logged to the context since the last read, as one line. Each record starts with "e ", "w " or "i ".
std::string KernelLog(int context) {
  std::string log;
  char record[1024];
  for (ssize_t n; (n = read(context, record, sizeof record)) > 0;) {
    std::string line(record, n);
    while (!line.empty() && line.back() == '\n') line.pop_back();
    log += (log.empty() ? "" : "; ") + line.substr(line.size() > 2 && line[1] == ' ' ? 2 : 0);
  }
  return log;
}

[[noreturn]] void FailInContext(int context, const std::string& what, const std::string& path) {
  int number = errno;
  std::string log = KernelLog(context);
  FailWith(number, what.c_str(), path, log.empty() ? kSeeKernelLog : log);
}

void SetString(int context, const char* key, const std::string& value) {
  if (fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) != 0) {
    FailInContext(context, std::string("fsconfig ") + key, value);
  }
}

void SetOption(int context, const std::string& option) {
  size_t equals = option.find('=');
  if (equals != std::string::npos) {
    SetString(context, option.substr(0, equals).c_str(), option.substr(equals + 1));
  } else if (fsconfig(context, FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0) != 0) {
    FailInContext(context, "fsconfig " + option, "");
  }
}

void SetDirectories(int context, const OverlayMount& mount) {
  for (const std::string& lower : mount.lowers) SetString(context, "lowerdir+", lower);
  if (mount.upper.empty()) return;
  SetString(context, "upperdir", mount.upper);
  SetString(context, "workdir", mount.work);
}

// The flags that belong to the mount are left for fsmount and answered.
unsigned int SetOptions(int context, const OverlayMount& mount) {
  unsigned int attributes = mount.upper.empty() ? MOUNT_ATTR_RDONLY : 0;
  for (const std::string& option : mount.options) {
    const MountFlag* flag = FindMountFlag(option);
    if (flag && !flag->ofFileSystem) {
      attributes |= flag->attribute;
    } else {
      SetOption(context, option);
    }
  }
  if (!mount.context.empty()) SetString(context, "context", mount.context);
  return attributes;
}

void Make(const OverlayMount& mount) {
  Fd context(fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) Fail("fsopen overlay", "");
  SetString(context.get(), "source", "overlay");
  SetDirectories(context.get(), mount);
  unsigned int attributes = SetOptions(context.get(), mount);
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    FailInContext(context.get(), "fsconfig create", mount.target);
  }
  Fd made(fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!made) FailInContext(context.get(), "fsmount", mount.target);
  if (move_mount(made.get(), "", AT_FDCWD, mount.target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    Fail("move_mount", mount.target);
  }
}

// Besides length: some kernels take backslashes in some of these parameters for escapes, others do not.
bool IsPlain(const std::string& path) {
  return path.size() <= kMaxValue && path.find('\\') == std::string::npos;
}

}  // namespace

void MountByFsopen(const OverlayMount& mount) {
  bool plain = std::all_of(mount.lowers.begin(), mount.lowers.end(), IsPlain) && IsPlain(mount.upper) &&
               IsPlain(mount.work);
  if (plain) {
    Make(mount);
  } else {
    InHome(mount, Make);
  }
}

}  // namespace thinlayer
