// An overlay mount, as asked for and as the two system call interfaces make it.
#ifndef THINLAYER_OVERLAY_H_
#define THINLAYER_OVERLAY_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace thinlayer {

// overlayfs tells most reasons nowhere else.
constexpr const char* kSeeKernelLog = "the kernel log (dmesg) may tell why";

struct OverlayMount {
  std::string target;
  std::vector<std::string> lowers;  // uppermost first
  std::string upper;                // empty: read-only
  std::string work;
  std::vector<std::string> options;
  std::string context;
  std::string home;
  bool fsopen;
  uid_t uid;
  gid_t gid;
};

// Both throw SyscallError and then leave nothing mounted. They write paths relative to `home` if they have to.
void MountByFsopen(const OverlayMount& mount);
void MountByOptions(const OverlayMount& mount);

// A flag of the mount: one for mount(2), another for fsmount(2), or for the file system itself.
struct MountFlag {
  const char* name;
  unsigned long option;
  unsigned int attribute;
  bool ofFileSystem;
};

// Null for an option of overlayfs.
const MountFlag* FindMountFlag(const std::string& option);

// Makes the mount with its paths relative to `home`, on a thread of its own that has `home` as working directory.
void InHome(const OverlayMount& mount, void (*make)(const OverlayMount&));

}  // namespace thinlayer

#endif  // THINLAYER_OVERLAY_H_
