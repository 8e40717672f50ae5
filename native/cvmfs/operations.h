// The handlers of the kernel's requests.
#ifndef THINLAYER_CVMFS_OPERATIONS_H_
#define THINLAYER_CVMFS_OPERATIONS_H_

#include <cstdint>

#include "serve.h"

namespace thinlayer::cvmfs {

// For fuse_session_new, with a Repository as its user data.
const fuse_lowlevel_ops& Operations();

void AddNameOperations(fuse_lowlevel_ops& operations);
void AddDirectoryOperations(fuse_lowlevel_ops& operations);
void AddFileOperations(fuse_lowlevel_ops& operations);
void AddXattrOperations(fuse_lowlevel_ops& operations);

// An entry as the kernel is told of it. Refers to its inode: must be forgotten if the reply fails.
fuse_entry_param EntryParam(Repository& repository, uint64_t parent, const Entry& entry);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_OPERATIONS_H_
