#include "xattr.h"

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "opaque.h"
#include "worker.h"

namespace thinlayer {

namespace {

constexpr const char* kCapability = "security.capability";

bool StartsWith(const std::string& text, const char* start) { return text.compare(0, strlen(start), start) == 0; }

bool IsWanted(const std::string& name) {
  if (name == kCapability || name == OpaqueXattr()) return true;
  return StartsWith(name, "user.") && !StartsWith(name, "user.overlay.");
}

bool IsNone(int number) { return number == ENODATA || number == ENOTSUP; }

// flistxattr and fgetxattr alike: the length may have grown between the question and the answer.
template <typename Call>
std::string ReadAll(Call call, const char* syscall, const std::string& path) {
  std::string result(256, '\0');
  for (;;) {
    ssize_t n = call(result.data(), result.size());
    if (n >= 0) {
      result.resize(n);
      return result;
    }
    if (IsNone(errno)) return "";
    if (errno != ERANGE) Fail(syscall, path);
    result.resize(result.size() * 4);
  }
}

}  // namespace

Xattrs ReadXattrs(int fd, const std::string& path) {
  Xattrs result;
  std::string list =
      ReadAll([fd](char* to, size_t size) { return flistxattr(fd, to, size); }, "flistxattr", path);
  for (size_t at = 0; at < list.size(); at += strlen(&list[at]) + 1) {
    std::string name(&list[at]);
    if (!IsWanted(name)) continue;
    auto get = [fd, &name](char* to, size_t size) { return fgetxattr(fd, name.c_str(), to, size); };
    result.emplace_back(name, ReadAll(get, "fgetxattr", path));
  }
  std::sort(result.begin(), result.end());
  return result;
}

bool IsOpaque(int directory) {
  char value[2];
  return fgetxattr(directory, OpaqueXattr().c_str(), value, sizeof value) == 1 && value[0] == 'y';
}

// Through /proc: there is no call that takes a directory's descriptor and a name before Linux 6.13's getxattrat.
std::string ReadCapability(int parent, const std::string& name) {
  std::string path = "/proc/self/fd/" + std::to_string(parent) + "/" + name;
  char value[64];  // struct vfs_ns_cap_data has 24 bytes
  ssize_t n = lgetxattr(path.c_str(), kCapability, value, sizeof value);
  return n > 0 ? std::string(value, n) : "";
}

}  // namespace thinlayer
