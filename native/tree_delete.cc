#include "tree_delete.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include "fd.h"
#include "worker.h"

namespace thinlayer {
namespace {

// Each level costs a descriptor. What is deeper moves up to the root of the tree first: names are as long, and trees
// as deep, as the container liked.
constexpr int kMaxLevels = 32;

using Listing = std::unique_ptr<DIR, int (*)(DIR*)>;

class Deletion {
 public:
  Deletion(Fd root, const std::string& path, const CancelFlag& cancel)
      : root_(std::move(root)), path_(path), cancel_(cancel) {}

  void Run() {
    do {
      moved_ = false;
      Empty(Fd(openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), path_, 0);
    } while (moved_);
    if (first_) throw *first_;
  }

 private:
  void Empty(Fd directory, const std::string& path, int level) {
    if (!directory) return Note("openat", path);
    Listing listing(fdopendir(directory.get()), closedir);
    if (!listing) return Note("fdopendir", path);
    int fd = directory.release();
    for (;;) {
      errno = 0;
      dirent* entry = readdir(listing.get());
      if (!entry) return errno == 0 ? void() : Note("readdir", path);
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") Delete(fd, entry, path + "/" + entry->d_name, level);
    }
  }

  void Delete(int parent, const dirent* entry, const std::string& path, int level) {
    cancel_.Check("delete", path_);
    if (entry->d_type != DT_DIR) {
      if (IsGone(unlinkat(parent, entry->d_name, 0))) return;
      // DT_UNKNOWN, or replaced since it was listed. EPERM is what POSIX wants for a directory, and Linux for chattr +i.
      if (errno != EISDIR && (errno != EPERM || entry->d_type != DT_UNKNOWN)) return Note("unlinkat", path);
    }
    if (level == kMaxLevels) return MoveUp(parent, entry->d_name, path);
    Empty(Enter(parent, entry->d_name), path, level + 1);
    if (!IsGone(unlinkat(parent, entry->d_name, AT_REMOVEDIR))) Note("unlinkat", path);
  }

  static Fd Enter(int parent, const char* name) {
    struct open_how how = {};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    return Fd(static_cast<int>(syscall(SYS_openat2, parent, name, &how, sizeof(how))));
  }

  void MoveUp(int parent, const char* name, const std::string& path) {
    int result;
    do {
      std::string place = "too-deep-" + std::to_string(names_++);
      result = renameat2(parent, name, root_.get(), place.c_str(), RENAME_NOREPLACE);
    } while (result != 0 && errno == EEXIST);
    if (result != 0) return Note("renameat2", path);
    moved_ = true;
  }

  static bool IsGone(int result) { return result == 0 || errno == ENOENT; }

  void Note(const char* syscall, const std::string& path) {
    if (first_) return;
    const char* mounted = "something is mounted there: unmount it, the next start deletes the rest";
    first_ = SyscallError{errno, syscall, path, errno == EXDEV || errno == EBUSY ? mounted : ""};
  }

  const Fd root_;
  const std::string& path_;
  const CancelFlag& cancel_;
  std::optional<SyscallError> first_;
  bool moved_ = false;
  unsigned names_ = 0;
};

}  // namespace

void DeleteTree(const std::string& path, const CancelFlag& cancel) {
  // Most trees are those of containers that wrote nothing: their directories are empty.
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return;
  if (errno != ENOTEMPTY && errno != EEXIST) Fail("rmdir", path);
  Fd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) Fail("open", path);
  Deletion(std::move(root), path, cancel).Run();
  if (rmdir(path.c_str()) != 0) Fail("rmdir", path);
}

}  // namespace thinlayer
