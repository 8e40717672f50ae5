#include "operations.h"

#include <sys/statvfs.h>

#include <cstdint>

namespace thinlayer::cvmfs {
namespace {

void Init(void* data, fuse_conn_info* connection) {
  KernelTraits& kernel = static_cast<Repository*>(data)->kernel;
  kernel.opens_files_itself = (connection->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
  kernel.opens_directories_itself = (connection->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
  // Reads ahead count as background work, and each that waits for an object takes a place: those of files that are here
  // must not wait for it.
  connection->max_background = connection->congestion_threshold = 32767;
  // Contents never change under an inode, so nothing may be thrown away because of a time; links may be cached as well.
  // Listings always come with all of their entries: a row is read whole anyway, and a look-up costs a way to here and back.
  // Who reads past the kernel's cache waits where a signal reaches it.
  connection->want &=
      ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO);
  constexpr unsigned kWanted = FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_PARALLEL_DIROPS |
                               FUSE_CAP_ASYNC_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_READDIRPLUS |
                               FUSE_CAP_EXPIRE_ONLY;
  connection->want |= connection->capable & kWanted;
}

uint64_t Sum(const Catalog::Statistics& statistics, std::initializer_list<const char*> counters) {
  uint64_t sum = 0;
  for (const char* counter : counters) {
    for (const char* part : {"self_", "subtree_"}) {
      auto found = statistics.find(std::string(part) + counter);
      if (found != statistics.end()) sum += static_cast<uint64_t>(found->second);
    }
  }
  return sum;
}

// overlayfs takes the length of names from here: 0 would make every look-up in an overlay without an upper fail.
void StatFs(fuse_req_t request, fuse_ino_t) {
  Serve(request, [](fuse_req_t r, Repository& repository) {
    CatalogTree::Use tree = repository.UseTree();
    const auto& statistics = tree->root().statistics();
    struct statvfs status = {};
    status.f_bsize = status.f_frsize = 4096;
    status.f_namemax = 255;
    status.f_blocks = Sum(statistics, {"file_size"}) / status.f_frsize;
    status.f_files = Sum(statistics, {"regular", "symlink", "special", "dir"});
    fuse_reply_statfs(r, &status);
  });
}

}  // namespace

fuse_entry_param EntryParam(Repository& repository, uint64_t parent, const Entry& entry) {
  fuse_entry_param param = {};
  param.ino = repository.inodes.Refer(parent, entry);
  param.attr = repository.Stat(entry, param.ino);
  param.attr_timeout = param.entry_timeout = repository.options.kernel_cache_seconds;
  return param;
}

const fuse_lowlevel_ops& Operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops made = {};
    made.init = Init;
    made.statfs = StatFs;
    AddNameOperations(made);
    AddDirectoryOperations(made);
    AddFileOperations(made);
    AddXattrOperations(made);
    return made;
  }();
  return operations;
}

}  // namespace thinlayer::cvmfs
