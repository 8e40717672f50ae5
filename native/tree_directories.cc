#include "tree_directories.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "worker.h"

namespace thinlayer {

namespace {

// Enough for the depth of usual trees; each costs a file descriptor of the daemon.
constexpr size_t kKeptOpen = 16;
constexpr mode_t kMissingParentMode = 0755;

}  // namespace

Directories::Directories(const std::string& root, uid_t uid, gid_t gid) : uid_(uid), gid_(gid) {
  Fd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) Fail("open", root);
  root_ = std::make_shared<const Fd>(std::move(fd));
}

Directory Directories::Find(const std::string& path) {
  if (path.empty() || path == ".") return root_;
  auto known = open_.find(path);
  if (known != open_.end()) return known->second;
  Fd fd = OpenInRoot(root_->get(), path, O_RDONLY | O_DIRECTORY);
  if (!fd) return nullptr;
  Directory directory = std::make_shared<const Fd>(std::move(fd));
  Remember(path, directory);
  return directory;
}

Directory Directories::Require(const std::string& path) {
  Directory directory = Find(path);
  if (!directory && errno == ENOENT) {
    Make(path);
    directory = Find(path);
  }
  if (!directory) Fail("openat2", path);
  return directory;
}

void Directories::Make(const std::string& path) {
  SplitPath split = Split(path);
  Directory parent = Require(split.parent);
  // EEXIST here is a symlink that leads nowhere; opening it again tells so.
  if (mkdirat(parent->get(), split.base.c_str(), kMissingParentMode) != 0) {
    if (errno == EEXIST) return;
    Fail("mkdirat", path);
  }
  Fd made(openat(parent->get(), split.base.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made) Fail("openat", path);
  if (fchown(made.get(), uid_, gid_) != 0) Fail("fchown", path);
  if (fchmod(made.get(), kMissingParentMode) != 0) Fail("fchmod", path);
}

void Directories::Remember(const std::string& path, Directory directory) {
  if (open_.size() >= kKeptOpen) open_.clear();
  open_[path] = std::move(directory);
}

}  // namespace thinlayer
