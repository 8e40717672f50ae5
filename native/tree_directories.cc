#include "tree_directories.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "worker.h"

namespace thinlayer {

namespace {

// Enough for the depth of usual trees; each costs a file descriptor of the daemon.
constexpr size_t kKeptOpen = 16;
constexpr mode_t kMissingParentMode = 0755;

// Where each component of "a/b/c" ends: 1, 3, 5.
std::vector<size_t> ComponentEnds(const std::string& path) {
  std::vector<size_t> ends;
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    ends.push_back(slash);
  }
  ends.push_back(path.size());
  return ends;
}

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
  if (directory) return directory;
  if (errno == ENOENT) directory = Make(path);
  if (!directory) Fail("openat2", path);
  Remember(path, directory);
  return directory;
}

// Resolving a path costs as much as it has components, through symlinks many times that: so the missing ones are made
// one inside the other, and where they begin is found by halving.
Directory Directories::Make(const std::string& path) {
  std::vector<size_t> ends = ComponentEnds(path);
  size_t existing = 0;
  for (size_t missing = ends.size() - 1; existing < missing;) {
    size_t middle = (existing + missing) / 2;
    if (OpenInRoot(root_->get(), path.substr(0, ends[middle]), O_PATH | O_DIRECTORY)) {
      existing = middle + 1;
    } else if (errno == ENOENT) {
      missing = middle;
    } else {
      Fail("openat2", path);
    }
  }
  Directory at = Find(existing == 0 ? "" : path.substr(0, ends[existing - 1]));
  for (size_t i = existing; at && i < ends.size(); ++i) {
    size_t begin = i == 0 ? 0 : ends[i - 1] + 1;
    at = MakeOne(*at, path.substr(begin, ends[i] - begin), path);
  }
  return at;
}

// Null, with errno ENOENT, if a symlink that leads nowhere has the name.
Directory Directories::MakeOne(const Fd& parent, const std::string& name, const std::string& path) {
  if (mkdirat(parent.get(), name.c_str(), kMissingParentMode) != 0) {
    if (errno != EEXIST) Fail("mkdirat", path);
    errno = ENOENT;
    return nullptr;
  }
  Fd made(openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made) Fail("openat", path);
  if (fchown(made.get(), uid_, gid_) != 0) Fail("fchown", path);
  if (fchmod(made.get(), kMissingParentMode) != 0) Fail("fchmod", path);
  return std::make_shared<const Fd>(std::move(made));
}

void Directories::Remember(const std::string& path, Directory directory) {
  if (open_.size() >= kKeptOpen) open_.clear();
  open_[path] = std::move(directory);
}

}  // namespace thinlayer
