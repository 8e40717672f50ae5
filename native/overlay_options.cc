// mount(2): all options are one string, which the kernel cuts off at a page.
#include <sys/mount.h>
#include <unistd.h>

#include "overlay.h"
#include "worker.h"

namespace thinlayer {
namespace {

// overlayfs takes `:` for the end of a lower directory, and `,` for the end of an option.
std::string Escape(const std::string& path) {
  std::string escaped;
  for (char c : path) {
    if (c == '\\' || c == ':' || c == ',') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string LowerDirectories(const OverlayMount& mount) {
  std::string joined;
  for (const std::string& lower : mount.lowers) joined += (joined.empty() ? "" : ":") + Escape(lower);
  return joined;
}

std::string Data(const OverlayMount& mount) {
  std::string data = "lowerdir=" + LowerDirectories(mount);
  if (!mount.upper.empty()) data += ",upperdir=" + Escape(mount.upper) + ",workdir=" + Escape(mount.work);
  for (const std::string& option : mount.options) {
    if (!FindMountFlag(option)) data += "," + option;
  }
  if (!mount.context.empty()) data += ",context=\"" + mount.context + "\"";
  return data;
}

unsigned long Flags(const OverlayMount& mount) {
  unsigned long flags = mount.upper.empty() ? MS_RDONLY : 0;
  for (const std::string& option : mount.options) {
    if (const MountFlag* flag = FindMountFlag(option)) flags |= flag->option;
  }
  return flags;
}

// One byte is the string's end; another is kept free, as some kernels overwrite the page's last one.
size_t MaxData() { return sysconf(_SC_PAGESIZE) - 2; }

void Make(const OverlayMount& mount) {
  std::string data = Data(mount);
  if (data.size() > MaxData()) {
    FailWith(E2BIG, "mount", mount.target,
             "the options of " + std::to_string(mount.lowers.size()) + " lower layers take " +
                 std::to_string(data.size()) + " bytes, mount(2) takes " + std::to_string(MaxData()));
  }
  if (::mount("overlay", mount.target.c_str(), "overlay", Flags(mount), data.c_str()) != 0) {
    Fail("mount", mount.target, kSeeKernelLog);
  }
}

}  // namespace

void MountByOptions(const OverlayMount& mount) {
  if (Data(mount).size() <= MaxData()) {
    Make(mount);
  } else {
    InHome(mount, Make);
  }
}

}  // namespace thinlayer
