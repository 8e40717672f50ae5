#include "rooted.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

namespace thinlayer {

Fd OpenInRoot(int root, const std::string& path, int flags) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  // EAGAIN: something was renamed while ".." was looked up, and the kernel cannot vouch for the result.
  for (int attempt = 0;; ++attempt) {
    long fd = syscall(SYS_openat2, root, name, &how, sizeof(how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == 100) return Fd(static_cast<int>(fd));
  }
}

std::string ProcPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

SplitPath Split(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace thinlayer
