// Another revision takes the place of the one that is shown.
#ifndef THINLAYER_CVMFS_REFRESH_H_
#define THINLAYER_CVMFS_REFRESH_H_

#include <cstdint>
#include <string>

#include "repository.h"
#include "serve.h"

namespace thinlayer::cvmfs {

// From the swap on, requests see the new tree. Returns when the kernel was told of all that changed; nested catalogs
// that changed and that the kernel knows entries of are fetched for that, and former ones that the cache lost, if they
// tell what open files are. Not for threads that answer requests.
// Throws Missing or Fault if `root` cannot be read: then the former tree stays.
void Refresh(Repository& repository, fuse_session* session, const std::string& root, uint64_t revision);

// The kernel drops the contents that it has of files: they are read again. Not for threads that answer requests.
void ForgetContents(Repository& repository, fuse_session* session);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_REFRESH_H_
