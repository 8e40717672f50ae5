#include "tree.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "tree_metadata.h"
#include "tree_remove.h"
#include "worker.h"

namespace thinlayer {

namespace {

bool IsWhiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == 0; }

// What is at `base`, itself and not what it points to.
std::optional<struct stat> StatAt(int parent, const std::string& base, const std::string& path) {
  struct stat status;
  if (fstatat(parent, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return status;
  if (errno == ENOENT) return std::nullopt;
  Fail("fstatat", path);
}

bool SameFile(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

mode_t DeviceType(TreeNodeType type) {
  if (type == TreeNodeType::kFifo) return S_IFIFO;
  return type == TreeNodeType::kBlockDevice ? S_IFBLK : S_IFCHR;
}

}  // namespace

Tree::Tree(TreeOptions options)
    : options_(std::move(options)), directories_(options_.root, options_.uid, options_.gid) {}

void Tree::Do(TreeBatch& batch) {
  TreeOp op = batch.Op();
  if (op == TreeOp::kWrite) {
    off_t offset = batch.Offset();
    auto [bytes, length] = batch.Bytes();
    return Write(offset, bytes, length);
  }
  EndFile();
  if (op == TreeOp::kCreate) return Create(batch.Node());
  std::string path = batch.Path();
  switch (op) {
    case TreeOp::kWhiteout:
      return Whiteout(path, batch.WhiteoutMetadata());
    case TreeOp::kOpaque:
      return MakeOpaque(directories_.Require(path)->get(), path);
    case TreeOp::kRemove:
      return Remove(path);
    case TreeOp::kClear:
      return Clear(path);
    default:
      FailWith(EBADMSG, "batch", path, "unknown record");
  }
}

void Tree::Create(TreeNode node) {
  switch (node.type) {
    case TreeNodeType::kFile:
      return CreateFile(std::move(node));
    case TreeNodeType::kDirectory:
      return CreateDirectory(node);
    case TreeNodeType::kLink:
      return CreateLink(node);
    default:
      return CreateSpecial(node);
  }
}

// The second barrier after src/archive/entry-path.ts: names that are not below their directory.
Tree::Place Tree::PlaceOf(const std::string& path) {
  SplitPath split = Split(path);
  bool is_name = !split.base.empty() && split.base != "." && split.base != "..";
  if (!is_name) FailWith(EINVAL, "openat2", path, "not a name below the root");
  return {path, split.base, directories_.Require(split.parent)};
}

template <typename Make>
void Tree::MakeOrReplace(const char* call, const Place& place, Make make) {
  if (make() == 0) return;
  if (errno != EEXIST) Fail(call, place.path);
  RemoveAtPlace(place.parent->get(), place.base, place.path);
  if (make() != 0) Fail(call, place.path);
}

void Tree::RemoveAtPlace(int parent, const std::string& base, const std::string& path) {
  RemoveAt(parent, base, path);
  directories_.Forget();
}

void Tree::Note(const struct stat& status) {
  if (options_.clears) created_.emplace(status.st_dev, status.st_ino);
}

void Tree::CreateFile(TreeNode node) {
  Place place = PlaceOf(node.path);
  Fd fd;
  MakeOrReplace("openat", place, [&] {
    int flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
    fd = Fd(openat(place.parent->get(), place.base.c_str(), flags, node.metadata.mode & 0777));
    return fd ? 0 : -1;
  });
  file_ = OpenFile{std::move(fd), std::move(node)};
}

void Tree::Write(off_t offset, const uint8_t* bytes, size_t length) {
  if (!file_) FailWith(EBADMSG, "batch", "", "contents without a file");
  while (length > 0) {
    ssize_t done = pwrite(file_->fd.get(), bytes, length, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) Fail("pwrite", file_->node.path);
    bytes += done;
    offset += done;
    length -= static_cast<size_t>(done);
  }
  file_->end = std::max(file_->end, offset);
}

void Tree::EndFile() {
  if (!file_) return;
  OpenFile file = std::move(*file_);
  file_.reset();
  const TreeNode& node = file.node;
  if (file.end < node.size && ftruncate(file.fd.get(), node.size) != 0) Fail("ftruncate", node.path);
  Note(SetMetadata(file.fd.get(), node.metadata, node.path));
  SetTimes(file.fd.get(), node.metadata.mtime, node.path);
  // NFS and FUSE tell only here that the data did not fit.
  if (close(file.fd.release()) != 0) Fail("close", node.path);
}

Directory Tree::OpenAt(const Place& place) {
  Fd fd(openat(place.parent->get(), place.base.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return fd ? std::make_shared<const Fd>(std::move(fd)) : nullptr;
}

void Tree::CreateDirectory(const TreeNode& node) {
  Directory directory = node.path == "." ? directories_.Root() : MakeDirectory(node);
  Note(SetMetadata(directory->get(), node.metadata, node.path));
  directory_times_.emplace_back(node.path, node.metadata.mtime);
}

Directory Tree::MakeDirectory(const TreeNode& node) {
  Place place = PlaceOf(node.path);
  auto make = [&] { return mkdirat(place.parent->get(), place.base.c_str(), node.metadata.mode & 0777); };
  std::optional<struct stat> old;
  if (make() != 0) {
    if (errno != EEXIST) Fail("mkdirat", node.path);
    old = StatAt(place.parent->get(), place.base, node.path);
    if (!old || !S_ISDIR(old->st_mode)) MakeOrReplace("mkdirat", place, make);
  }
  Directory made = OpenAt(place);
  if (!made) Fail("openat", node.path);
  // A whiteout and then the directory: what lower layers have there stays hidden.
  if (old && IsWhiteout(*old)) MakeOpaque(made->get(), node.path);
  directories_.Remember(node.path, made);
  return made;
}

// For what must not be opened: devices, fifos, symlinks.
void Tree::Describe(const Place& place, const TreeMetadata& metadata) {
  Fd made(openat(place.parent->get(), place.base.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!made) Fail("openat", place.path);
  Note(SetMetadata(made.get(), metadata, place.path));
  SetTimesAt(place.parent->get(), place.base, metadata.mtime, place.path);
}

void Tree::CreateLink(const TreeNode& node) {
  Place place = PlaceOf(node.path);
  SplitPath target = Split(node.target);
  Directory from = directories_.Find(target.parent);
  std::optional<struct stat> status;
  if (from) status = StatAt(from->get(), target.base, node.path);
  if (!status) FailWith(ENOENT, "linkat", node.path, "nothing to link to at " + node.target);
  // The kernel's own answer is EPERM, as if it were a matter of rights.
  if (S_ISDIR(status->st_mode)) FailWith(EISDIR, "linkat", node.path, "a hard link to the directory " + node.target);
  std::optional<struct stat> old = StatAt(place.parent->get(), place.base, node.path);
  if (!old || !SameFile(*old, *status)) {
    MakeOrReplace("linkat", place, [&] {
      return linkat(from->get(), target.base.c_str(), place.parent->get(), place.base.c_str(), 0);
    });
  }
  Describe(place, node.metadata);
}

void Tree::CreateSpecial(const TreeNode& node) {
  Place place = PlaceOf(node.path);
  const char* name = place.base.c_str();
  int parent = place.parent->get();
  if (node.type == TreeNodeType::kSymlink) {
    MakeOrReplace("symlinkat", place, [&] { return symlinkat(node.target.c_str(), parent, name); });
  } else {
    mode_t mode = DeviceType(node.type) | (node.metadata.mode & 0777);
    MakeOrReplace("mknodat", place, [&] { return mknodat(parent, name, mode, node.device); });
  }
  Describe(place, node.metadata);
}

void Tree::Whiteout(const std::string& path, const TreeMetadata& metadata) {
  Place place = PlaceOf(path);
  if (mknodat(place.parent->get(), place.base.c_str(), S_IFCHR, 0) != 0) {
    if (errno != EEXIST) Fail("mknodat", path);
    Directory existing = OpenAt(place);
    if (existing) MakeOpaque(existing->get(), path);
    return;
  }
  Describe(place, metadata);
}

void Tree::MakeOpaque(int directory, const std::string& path) {
  if (fsetxattr(directory, options_.opaque_name.c_str(), "y", 1, 0) != 0) {
    Fail("fsetxattr", path, options_.opaque_name);
  }
}

void Tree::Remove(const std::string& path) {
  SplitPath split = Split(path);
  Directory parent = directories_.Find(split.parent);
  if (parent) return RemoveAtPlace(parent->get(), split.base, path);
  if (errno != ENOENT && errno != ENOTDIR) Fail("openat2", path);
}

void Tree::Clear(const std::string& path) {
  Directory directory = directories_.Find(path);
  if (!directory && errno == ENOENT) return;
  if (!directory) Fail("openat2", path);
  RemoveBelow(directory->get(), path, [this](const struct stat& status) {
    return created_.count({status.st_dev, status.st_ino}) > 0;
  });
  directories_.Forget();
}

void Tree::Finish() {
  EndFile();
  for (const auto& [path, mtime] : directory_times_) {
    Fd directory = OpenInRoot(directories_.Root()->get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (directory) {
      SetTimes(directory.get(), mtime, path);
    } else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
      Fail("openat2", path);  // those three: a later entry took its place
    }
  }
}

}  // namespace thinlayer
