// Paths that strangers give, resolved below a directory that they cannot leave.
#ifndef THINLAYER_ROOTED_H_
#define THINLAYER_ROOTED_H_

#include <string>

#include "fd.h"

namespace thinlayer {

// openat2(2): `root` is "/" for `path` and for the symlinks in it; magic links (/proc/PID/fd) are refused.
// Without a descriptor, errno says why. O_CLOEXEC is added.
Fd OpenInRoot(int root, const std::string& path, int flags);

// A name for calls that exist only with a path (setxattr, chmod of what must not be opened): it leads to
// exactly the file that `fd`, which may be O_PATH, holds, also if that is a symlink.
std::string ProcPath(int fd);

// "a/b/c" is "c" in "a/b"; "c" is "c" in "".
struct SplitPath {
  std::string parent;
  std::string base;
};
SplitPath Split(const std::string& path);

}  // namespace thinlayer

#endif  // THINLAYER_ROOTED_H_
