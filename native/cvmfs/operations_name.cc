// Requests about one name or inode: lookup, forget, getattr, readlink.
#include <limits.h>

#include <cerrno>
#include <cstdint>

#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Serve(request, [parent, name = std::string(name)](fuse_req_t r, Repository& repository) {
    repository.counters.lookups++;
    if (name.size() > NAME_MAX) throw Fault{ENAMETOOLONG};
    CatalogTree::Use tree = repository.UseTree();
    EntryPtr entry = repository.FindChild(*tree.tree(), repository.inodes.PathOf(parent), name);
    fuse_entry_param param = {};
    param.entry_timeout = repository.options.kernel_cache_seconds;  // also of "there is no such name"
    if (entry) param = EntryParam(repository, parent, *entry);
    if (fuse_reply_entry(r, &param) != 0 && entry) repository.inodes.Forget(param.ino, 1);
  });
}

void Forget(fuse_req_t request, fuse_ino_t inode, uint64_t references) {
  RepositoryOf(request).inodes.Forget(inode, references);
  fuse_reply_none(request);
}

void ForgetMany(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  for (size_t i = 0; i < count; ++i) RepositoryOf(request).inodes.Forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(request);
}

void GetAttr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  Serve(request, [inode](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    auto [entry, provisional] = repository.ShownOf(*tree.tree(), inode);
    struct stat status = repository.Stat(*entry, inode);
    fuse_reply_attr(r, &status, provisional ? 0 : repository.options.kernel_cache_seconds);
  });
}

void ReadLink(fuse_req_t request, fuse_ino_t inode) {
  Serve(request, [inode](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    EntryPtr entry = repository.EntryOf(*tree.tree(), inode);
    if (!S_ISLNK(entry->mode)) throw Fault{EINVAL};
    std::string target = repository.Target(*entry);
    if (target.size() >= PATH_MAX) throw Fault{ENAMETOOLONG};
    fuse_reply_readlink(r, target.c_str());
  });
}

}  // namespace

void AddNameOperations(fuse_lowlevel_ops& operations) {
  operations.lookup = Lookup;
  operations.forget = Forget;
  operations.forget_multi = ForgetMany;
  operations.getattr = GetAttr;
  operations.readlink = ReadLink;
}

}  // namespace thinlayer::cvmfs
