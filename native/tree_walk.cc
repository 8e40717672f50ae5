#include "tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "worker.h"

namespace thinlayer {

namespace {

constexpr size_t kBlock = 512;
// A header alone, and one with an extended header before it that fits into one block.
constexpr size_t kPlainSlot = kBlock;
constexpr size_t kExtendedSlot = 3 * kBlock;
// Ends a batch of many entries without content before its table grows large.
constexpr size_t kTableLimit = 256 * 1024;
// From here on it pays to tell the kernel to read ahead further.
constexpr off_t kLargeFile = 1024 * 1024;

size_t PaddingOf(uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

// A guess that is right for nearly all entries; JavaScript can do with more and with less (src/archive/produce.ts).
size_t SlotOf(const struct stat& s, const Xattrs& xattrs) {
  if (IsWhiteout(s)) return kPlainSlot;
  return s.st_mtim.tv_nsec != 0 || !xattrs.empty() ? kExtendedSlot : kPlainSlot;
}

unsigned char TypeOf(const struct stat& s) { return IFTODT(s.st_mode); }

std::string Pack(const Xattrs& xattrs) {
  std::string packed;
  for (const auto& [name, value] : xattrs) {
    uint32_t lengths[2] = {static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())};
    packed.append(reinterpret_cast<const char*>(lengths), sizeof lengths).append(name).append(value);
  }
  return packed;
}

// False if the link is gone, or replaced.
bool ReadLink(int directory, const std::string& name, const std::string& path, std::string& target) {
  target.resize(4096);  // PATH_MAX, the kernel's limit for a target
  ssize_t n = readlinkat(directory, name.c_str(), target.data(), target.size());
  if (n < 0 && errno != ENOENT && errno != EINVAL) Fail("readlinkat", path);
  if (n < 0) return false;
  target.resize(n);
  return true;
}

}  // namespace

TreeWalk::TreeWalk(std::string root, std::optional<std::unordered_set<std::string>> only, bool names_only)
    : root_(std::move(root)), only_(std::move(only)), names_only_(names_only) {}

size_t TreeWalk::Fill(uint8_t* data, size_t capacity) {
  data_ = data;
  capacity_ = capacity;
  used_ = 0;
  table_.clear();
  if (!started_) Enter(OpenRoot(root_));
  started_ = true;
  while (ReadContent() && Step()) continue;
  return used_;
}

// One entry further. False if the batch is full, or the tree at its end.
bool TreeWalk::Step() {
  if (room() < kExtendedSlot || table_.size() > kTableLimit) return false;
  while (!stack_.empty() && stack_.back().next == stack_.back().names.size()) stack_.pop_back();
  done_ = stack_.empty();
  if (done_) return false;
  Frame& top = stack_.back();
  const Name& name = top.names[top.next++];
  path_.resize(top.path_length);
  if (!path_.empty()) path_ += '/';
  path_ += name.text;
  if (!only_ || only_->count(path_) > 0) Visit(top.directory.get(), name);
  return true;
}

void TreeWalk::Visit(int directory, const Name& name) {
  Entry entry;
  if (!Inspect(directory, name, entry)) return;
  FindFirstName(entry);
  if (entry.fd && !entry.is_hard_link) entry.xattrs = ReadXattrs(entry.fd.get(), path_);
  Emit(entry);
  if (S_ISDIR(entry.stat.st_mode)) {
    Enter(std::move(entry.fd));
  } else if (S_ISREG(entry.stat.st_mode) && !entry.is_hard_link && !names_only_) {
    left_ = entry.stat.st_size;
    padding_ = PaddingOf(left_);
    file_ = std::move(entry.fd);
    file_path_ = path_;
    if (entry.stat.st_size >= kLargeFile) posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }
}

// What the entry is; false if it is gone. Opens files and directories at once, by the type that the directory tells,
// and asks once more if that turns out to be out of date.
bool TreeWalk::Inspect(int directory, const Name& name, Entry& entry) {
  unsigned char type = name.type;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (type == DT_REG && !names_only_) entry.fd = OpenFile(directory, name.text, path_);
    if (type == DT_DIR) entry.fd = OpenDirectory(directory, name.text, path_);
    if (entry.fd) {
      if (fstat(entry.fd.get(), &entry.stat) < 0) Fail("fstat", path_);
      return true;
    }
    if (!Stat(directory, name.text, path_, &entry.stat)) return false;
    type = TypeOf(entry.stat);
    if (type == DT_LNK) return ReadLink(directory, name.text, path_, entry.link);
    if (type != DT_DIR && (type != DT_REG || names_only_)) return true;
  }
  return false;
}

// Later names of a file become links to the first. Whiteouts stay what they are: overlayfs makes all of them links
// to one inode.
void TreeWalk::FindFirstName(Entry& entry) {
  const struct stat& s = entry.stat;
  if (S_ISDIR(s.st_mode) || s.st_nlink < 2 || IsWhiteout(s)) return;
  auto [first, is_new] = first_names_.try_emplace({s.st_dev, s.st_ino}, path_);
  if (is_new) return;
  entry.link = first->second;
  entry.is_hard_link = true;
}

void TreeWalk::Emit(const Entry& entry) {
  const struct stat& s = entry.stat;
  const bool has_content = S_ISREG(s.st_mode) && !entry.is_hard_link && !names_only_;
  const size_t slot = SlotOf(s, entry.xattrs);
  const std::string xattrs = Pack(entry.xattrs);
  const size_t text = path_.size() + entry.link.size() + xattrs.size();
  const double fields[] = {
      static_cast<double>(used_),
      static_cast<double>(slot),
      static_cast<double>(s.st_mode),
      static_cast<double>(s.st_uid),
      static_cast<double>(s.st_gid),
      has_content ? static_cast<double>(s.st_size) : 0,
      static_cast<double>(s.st_mtim.tv_sec),
      static_cast<double>(s.st_mtim.tv_nsec),
      static_cast<double>(major(s.st_rdev)),
      static_cast<double>(minor(s.st_rdev)),
      entry.is_hard_link ? 1.0 : 0.0,
      static_cast<double>(path_.size()),
      static_cast<double>(entry.link.size()),
      static_cast<double>(xattrs.size()),
  };
  table_.append(reinterpret_cast<const char*>(fields), sizeof fields);
  table_.append(path_).append(entry.link).append(xattrs);
  table_.append((8 - text % 8) % 8, '\0');
  memset(data_ + used_, 0, slot);
  used_ += slot;
}

void TreeWalk::Enter(Fd directory) {
  if (stack_.size() >= kMaxDepth) FailWith(ENAMETOOLONG, "openat", path_, "directories are nested too deeply");
  std::vector<Name> names = List(directory.get(), root_ + "/" + path_);
  stack_.push_back({std::move(directory), std::move(names), 0, path_.size()});
}

// Content of the open file, if any, as far as the batch has room. False if there is more. The archive gets the size
// that the header tells even if the file shrinks or grows now.
bool TreeWalk::ReadContent() {
  while (left_ > 0 && room() > 0) {
    size_t want = std::min<uint64_t>(left_, room());
    ssize_t n = file_ ? read(file_.get(), data_ + used_, want) : 0;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Fail("read", root_ + "/" + file_path_);
    if (n == 0) {
      memset(data_ + used_, 0, want);
      n = want;
    }
    used_ += n;
    left_ -= n;
  }
  size_t padding = std::min(padding_, room());
  if (left_ == 0) {
    file_ = Fd();
    memset(data_ + used_, 0, padding);
    used_ += padding;
    padding_ -= padding;
  }
  return left_ == 0 && padding_ == 0;
}

}  // namespace thinlayer
