// Extended attributes: those of the catalog, the mark of an opaque directory, magic ones.
#include <cerrno>
#include <cstdint>

#include "../opaque.h"
#include "magic.h"
#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

struct Attributed {
  std::string path;
  EntryPtr entry;
  Xattrs own;  // shadow magic ones: they were published with the file
};

Attributed Attributes(Repository& repository, CatalogTree& tree, uint64_t inode) {
  Attributed all{repository.inodes.PathOf(inode), repository.EntryOf(tree, inode), {}};
  all.own = ParseXattrs(all.entry->xattr);
  if (repository.IsShownOpaque(tree, all.path, *all.entry)) all.own[OpaqueXattr()] = "y";
  return all;
}

bool ListsMagic(const Repository& repository, uint64_t inode) {
  switch (repository.options.listed_magic) {
    case ListedMagic::kNowhere: return false;
    case ListedMagic::kAtRoot: return inode == kRootInode;
    case ListedMagic::kEverywhere: return true;
  }
  return false;
}

// The kernel asks for no user.* of symlinks and special files: who copies all that is listed would fail.
bool CanBeAsked(const Entry& entry, const std::string& name) {
  return S_ISREG(entry.mode) || S_ISDIR(entry.mode) || name.compare(0, 5, "user.") != 0;
}

// Size 0 asks how much there is.
void Reply(fuse_req_t request, const std::string& value, size_t size) {
  if (size == 0) fuse_reply_xattr(request, value.size());
  else if (value.size() > size) throw Fault{ERANGE};
  else fuse_reply_buf(request, value.data(), value.size());
}

void GetXattr(fuse_req_t request, fuse_ino_t inode, const char* asked, size_t size) {
  Serve(request, [inode, name = std::string(asked), size](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    Attributed all = Attributes(repository, *tree.tree(), inode);
    auto own = all.own.find(name);
    if (own != all.own.end()) return Reply(r, own->second, size);
    auto magic = MagicXattr(repository, *tree.tree(), all.path, *all.entry, name);
    if (!magic) throw Fault{ENODATA};
    Reply(r, *magic, size);
  });
}

void ListXattr(fuse_req_t request, fuse_ino_t inode, size_t size) {
  Serve(request, [inode, size](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    Attributed all = Attributes(repository, *tree.tree(), inode);
    std::string list;
    for (const auto& [name, value] : all.own) list.append(name).push_back('\0');
    if (ListsMagic(repository, inode)) {
      for (const std::string& name : MagicNames(repository, *all.entry)) {
        if (all.own.count(name) == 0 && CanBeAsked(*all.entry, name)) list.append(name).push_back('\0');
      }
    }
    Reply(r, list, size);
  });
}

}  // namespace

void AddXattrOperations(fuse_lowlevel_ops& operations) {
  operations.getxattr = GetXattr;
  operations.listxattr = ListXattr;
}

}  // namespace thinlayer::cvmfs
