#include "directory.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "worker.h"

namespace thinlayer {

namespace {

constexpr size_t kDirentBuffer = 64 * 1024;

// What open says of a name that was removed, or replaced by a file of another type, since it was listed.
bool IsGone(int number) {
  return number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENXIO || number == ESTALE;
}

Fd Open(int parent, const std::string& name, const std::string& path, int flags) {
  flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
  // Without O_NOATIME the first read of each file dirties its inode.
  Fd fd(openat(parent, name.c_str(), flags | O_NOATIME));
  if (!fd && errno == EPERM) fd = Fd(openat(parent, name.c_str(), flags));
  if (!fd && !IsGone(errno)) Fail("openat", path);
  return fd;
}

void Append(const char* at, const char* end, std::vector<Name>& names) {
  while (at < end) {
    const auto* entry = reinterpret_cast<const struct dirent64*>(at);
    at += entry->d_reclen;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    names.push_back({entry->d_name, entry->d_type});
  }
}

}  // namespace

Fd OpenRoot(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) Fail("open", path);
  return fd;
}

Fd OpenDirectory(int parent, const std::string& name, const std::string& path) {
  return Open(parent, name, path, O_DIRECTORY);
}

// O_NONBLOCK: a FIFO put in the place of a file must not hold us until somebody writes.
Fd OpenFile(int parent, const std::string& name, const std::string& path) {
  return Open(parent, name, path, O_NONBLOCK);
}

bool Stat(int parent, const std::string& name, const std::string& path, struct stat* result) {
  if (fstatat(parent, name.c_str(), result, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (!IsGone(errno)) Fail("fstatat", path);
  return false;
}

std::vector<Name> List(int directory, const std::string& path) {
  std::vector<Name> names;
  auto buffer = std::make_unique<char[]>(kDirentBuffer);
  for (;;) {
    ssize_t n = getdents64(directory, buffer.get(), kDirentBuffer);
    if (n < 0 && errno == ENOENT) break;  // removed while it is read
    if (n < 0) Fail("getdents64", path);
    if (n == 0) break;
    Append(buffer.get(), buffer.get() + n, names);
  }
  std::sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.text < b.text; });
  return names;
}

}  // namespace thinlayer
