// Listings.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

ListingPtr ListingOf(Repository& repository, const CatalogTree::Use& tree, uint64_t inode) {
  std::shared_ptr<CatalogTree> shown = repository.TreeOf(tree, inode);
  ListingPtr known = repository.listings.Get(inode).value;
  if (known && known->tree.lock() == shown) return known;
  repository.counters.listings++;
  auto made = std::make_shared<Listing>(shown, repository.List(*shown, repository.inodes.PathOf(inode)));
  repository.listings.Put(inode, made);
  return made;
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

// With all that a lookup would answer.
bool PutEntry(Answer& answer, fuse_req_t request, References& references, uint64_t parent, const Entry& entry,
              off_t offset) {
  Repository& repository = RepositoryOf(request);
  fuse_entry_param param = EntryParam(repository, parent, entry);
  bool fits = answer.Put([&](char* at, size_t left) {
    return fuse_add_direntry_plus(request, at, left, entry.name.c_str(), &param, offset);
  });
  if (fits) references.Add(param.ino);
  else repository.inodes.Forget(param.ino, 1);
  return fits;
}

void List(fuse_req_t request, fuse_ino_t inode, size_t size, off_t start, bool plus) {
  Serve(request, [inode, size, start, plus](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    ListingPtr listing = ListingOf(repository, tree, inode);
    Answer answer(r, size);
    References references(repository.inodes);
    off_t offset = start;
    if (offset == 0 && PutDot(answer, r, inode, 1, plus)) offset = 1;
    if (offset == 1 && PutDot(answer, r, repository.inodes.ParentOf(inode), 2, plus)) offset = 2;
    // The offset of an entry is where the next one is found.
    for (auto at = listing->After(offset); offset >= 2 && at != listing->places.end(); ++at) {
      const auto& [next, entry] = *at;
      bool fits = plus ? PutEntry(answer, r, references, inode, *entry, next) : PutName(answer, r, repository, *entry, next);
      if (!fits) break;
    }
    if (answer.Reply() == 0) references.Handed();
  });
}

// Nothing is kept for an open directory.
void OpenDirectory(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  if (RepositoryOf(request).kernel.opens_directories_itself) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  info->keep_cache = 1;
  info->cache_readdir = 1;
  fuse_reply_open(request, info);
}

void ReadDir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
  List(request, inode, size, offset, false);
}

void ReadDirPlus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
  List(request, inode, size, offset, true);
}

}  // namespace

void AddDirectoryOperations(fuse_lowlevel_ops& operations) {
  operations.opendir = OpenDirectory;
  operations.readdir = ReadDir;
  operations.readdirplus = ReadDirPlus;
}

}  // namespace thinlayer::cvmfs
