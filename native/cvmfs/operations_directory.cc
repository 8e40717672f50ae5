// Listings. An open directory is a listing made once, when it was opened.
#include <algorithm>
#include <cerrno>
#include <vector>

#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

struct Directory : Handles::Handle {
  std::weak_ptr<CatalogTree> tree;
  std::vector<EntryPtr> entries;  // without hidden ones
};

void OpenDir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  Serve(request, [inode, file = *info](fuse_req_t r, Repository& repository) mutable {
    repository.counters.directory_opens++;
    CatalogTree::Use tree = repository.UseTree();
    EntryPtr entry = repository.EntryOf(*tree.tree(), inode);
    if (!S_ISDIR(entry->mode)) throw Fault{ENOTDIR};
    auto directory = std::make_shared<Directory>();
    directory->tree = tree.tree();
    directory->entries = repository.List(*tree.tree(), repository.inodes.PathOf(inode));
    auto hidden = [](const EntryPtr& each) { return each->Has(kFlagHidden); };
    auto& entries = directory->entries;
    entries.erase(std::remove_if(entries.begin(), entries.end(), hidden), entries.end());
    file.keep_cache = 1;
    file.cache_readdir = 1;
    file.fh = repository.handles.Keep(std::move(directory));
    if (fuse_reply_open(r, &file) != 0) repository.handles.Drop(file.fh);
  });
}

// Collects the entries of one answer, as many as fit.
class Answer {
 public:
  Answer(fuse_req_t request, size_t size) : request_(request), buffer_(size) {}
  // `add` writes one entry into what is left, and answers how much it needs.
  template <typename Add>
  bool Put(Add add) {
    size_t need = add(buffer_.data() + used_, buffer_.size() - used_);
    if (need > buffer_.size() - used_) return false;
    used_ += need;
    return true;
  }
  int Reply() { return fuse_reply_buf(request_, buffer_.data(), used_); }

 private:
  fuse_req_t request_;
  std::vector<char> buffer_;
  size_t used_ = 0;
};

// "." and "..", which come first. The kernel counts no reference for them.
bool PutDot(Answer& answer, fuse_req_t request, uint64_t inode, off_t offset, bool plus) {
  fuse_entry_param param = {};
  param.attr.st_ino = param.ino = inode;
  param.attr.st_mode = S_IFDIR;
  const char* name = offset == 1 ? "." : "..";
  return answer.Put([&](char* at, size_t left) {
    return plus ? fuse_add_direntry_plus(request, at, left, name, &param, offset)
                : fuse_add_direntry(request, at, left, name, &param.attr, offset);
  });
}

bool PutName(Answer& answer, fuse_req_t request, Repository& repository, const Entry& entry, off_t offset) {
  struct stat status = {};
  status.st_ino = repository.inodes.NumberOf(entry.identity);
  status.st_mode = entry.mode;
  return answer.Put([&](char* at, size_t left) {
    return fuse_add_direntry(request, at, left, entry.name.c_str(), &status, offset);
  });
}

// References that an answer hands to the kernel: taken back if it does not get there.
class References {
 public:
  explicit References(Inodes& inodes) : inodes_(inodes) {}
  ~References() {
    for (uint64_t number : numbers_) inodes_.Forget(number, 1);
  }
  References(const References&) = delete;
  void Add(uint64_t number) { numbers_.push_back(number); }
  void Handed() { numbers_.clear(); }

 private:
  Inodes& inodes_;
  std::vector<uint64_t> numbers_;
};

// With all that a lookup would answer; `stale`: not to be kept, since another revision is shown by now.
bool PutEntry(Answer& answer, fuse_req_t request, References& references, uint64_t parent, const Entry& entry,
              off_t offset, bool stale) {
  Repository& repository = RepositoryOf(request);
  fuse_entry_param param = EntryParam(repository, parent, entry);
  if (stale) param.attr_timeout = param.entry_timeout = 0;
  bool fits = answer.Put([&](char* at, size_t left) {
    return fuse_add_direntry_plus(request, at, left, entry.name.c_str(), &param, offset);
  });
  if (fits) references.Add(param.ino);
  else repository.inodes.Forget(param.ino, 1);
  return fits;
}

void List(fuse_req_t request, fuse_ino_t inode, size_t size, off_t start, const fuse_file_info* info, bool plus) {
  Serve(request, [inode, size, start, handle = info->fh, plus](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    auto directory = repository.handles.Get<Directory>(handle);
    bool stale = directory->tree.lock() != tree.tree();
    Answer answer(r, size);
    References references(repository.inodes);
    off_t offset = start;
    if (offset == 0 && PutDot(answer, r, inode, 1, plus)) offset = 1;
    if (offset == 1 && PutDot(answer, r, repository.inodes.ParentOf(inode), 2, plus)) offset = 2;
    // The offset of an entry is where the next one is found.
    for (size_t i = static_cast<size_t>(offset) - 2; offset >= 2 && i < directory->entries.size(); ++i) {
      const Entry& entry = *directory->entries[i];
      off_t next = static_cast<off_t>(i) + 3;
      bool fits = plus ? PutEntry(answer, r, references, inode, entry, next, stale)
                       : PutName(answer, r, repository, entry, next);
      if (!fits) break;
    }
    if (answer.Reply() == 0) references.Handed();
  });
}

void ReadDir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info* info) {
  List(request, inode, size, offset, info, false);
}

void ReadDirPlus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info* info) {
  List(request, inode, size, offset, info, true);
}

void ReleaseDir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  RepositoryOf(request).handles.Drop(info->fh);
  fuse_reply_err(request, 0);
}

}  // namespace

void AddDirectoryOperations(fuse_lowlevel_ops& operations) {
  operations.opendir = OpenDir;
  operations.readdir = ReadDir;
  operations.readdirplus = ReadDirPlus;
  operations.releasedir = ReleaseDir;
}

}  // namespace thinlayer::cvmfs
