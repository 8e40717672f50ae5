#include "tree_metadata.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "rooted.h"
#include "worker.h"

namespace thinlayer {

namespace {

// As in Docker (moby pkg/archive, createTarFile): attributes of the system an image was made on, which this one does
// not know or allows nobody to set, are left out. But a program without its capabilities is another program.
void SetXattr(int fd, const std::string& name, const std::string& value, const std::string& path) {
  if (setxattr(ProcPath(fd).c_str(), name.c_str(), value.data(), value.size(), 0) == 0) return;
  bool may_be_missing = errno == EOPNOTSUPP || errno == EPERM;
  if (!may_be_missing || name == "security.capability") Fail("setxattr", path, name);
}

}  // namespace

// The order matters: chown clears setuid bits and file capabilities, so both come after it.
// Through /proc, because fchmod and fsetxattr refuse O_PATH, and device nodes must not be opened.
struct stat SetMetadata(int fd, const TreeMetadata& metadata, const std::string& path) {
  struct stat now;
  if (fstat(fd, &now) != 0) Fail("fstat", path);
  bool chowned = now.st_uid != metadata.uid || now.st_gid != metadata.gid;
  if (chowned && fchownat(fd, "", metadata.uid, metadata.gid, AT_EMPTY_PATH) != 0) Fail("fchownat", path);
  for (const auto& [name, value] : metadata.xattrs) SetXattr(fd, name, value, path);
  bool mode_cleared = chowned && (metadata.mode & (S_ISUID | S_ISGID)) != 0;
  bool mode_from_acl = !metadata.xattrs.empty();
  bool mode_differs = (now.st_mode & 07777) != metadata.mode || mode_cleared || mode_from_acl;
  if (S_ISLNK(now.st_mode) || !mode_differs) return now;
  if (chmod(ProcPath(fd).c_str(), metadata.mode) != 0) Fail("chmod", path);
  return now;
}

void SetTimes(int fd, const timespec& mtime, const std::string& path) {
  timespec times[2] = {mtime, mtime};
  if (futimens(fd, times) != 0) Fail("futimens", path);
}

void SetTimesAt(int directory, const std::string& name, const timespec& mtime, const std::string& path) {
  timespec times[2] = {mtime, mtime};
  if (utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) Fail("utimensat", path);
}

}  // namespace thinlayer
