#include "tree_remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "rooted.h"
#include "worker.h"

namespace thinlayer {

namespace {

using Keep = std::function<bool(const struct stat&)>;

// Each level costs a descriptor and a stack frame, and an archive can nest deeper than any path is long.
constexpr int kMaxDepth = 2048;

bool IsGone(int result) { return result == 0 || errno == ENOENT; }

void Walk(Fd directory, const std::string& path, const Keep& keep, int depth);

// Not a directory, or an empty one: one call. Most are files, so that is tried first.
void RemoveOne(int parent, const char* name, const std::string& path, const Keep& keep, int depth) {
  if (keep) {
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) Fail("fstatat", path);
    if (keep(status) && !S_ISDIR(status.st_mode)) return;
  }
  if (IsGone(unlinkat(parent, name, 0))) return;
  if (errno != EISDIR && errno != EPERM) Fail("unlinkat", path);
  Fd child(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!child) Fail("openat", path);
  struct stat status;
  if (fstat(child.get(), &status) != 0) Fail("fstat", path);
  Walk(std::move(child), path, keep, depth + 1);
  if (keep && keep(status)) return;
  if (IsGone(unlinkat(parent, name, AT_REMOVEDIR))) return;
  if (keep && errno == ENOTEMPTY) return;
  Fail("unlinkat", path);
}

void Walk(Fd directory, const std::string& path, const Keep& keep, int depth) {
  if (depth > kMaxDepth) FailWith(ELOOP, "unlinkat", path, "the tree is too deep to be deleted");
  std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(directory.get()), closedir);
  if (!entries) Fail("fdopendir", path);
  int fd = directory.release();
  for (;;) {
    errno = 0;
    dirent* entry = readdir(entries.get());
    if (!entry && errno != 0) Fail("readdir", path);
    if (!entry) return;
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") RemoveOne(fd, entry->d_name, path, keep, depth);
  }
}

}  // namespace

void RemoveAt(int directory, const std::string& name, const std::string& path) {
  RemoveOne(directory, name.c_str(), path, nullptr, 0);
}

void RemoveBelow(int directory, const std::string& path, const Keep& keep) {
  Fd own(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) Fail("openat", path);
  Walk(std::move(own), path, keep, 0);
}

}  // namespace thinlayer
