// Paths that strangers give, resolved below a directory that they cannot leave.
#ifndef THINLAYER_ROOTED_H_
#define THINLAYER_ROOTED_H_

#include <unistd.h>

#include <string>
#include <utility>

namespace thinlayer {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

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
