// Runs the work of one request of the kernel, and parks it where an object is missing.
#ifndef THINLAYER_CVMFS_SERVE_H_
#define THINLAYER_CVMFS_SERVE_H_

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse_lowlevel.h>

#include <functional>

#include "repository.h"

namespace thinlayer::cvmfs {

inline Repository& RepositoryOf(fuse_req_t request) { return *static_cast<Repository*>(fuse_req_userdata(request)); }

// Either answers the request, once, or throws Fault or Missing before.
using Work = std::function<void(fuse_req_t, Repository&)>;

// Answers with the errno of whatever was thrown; of Missing: parks `again`. Called in a handler.
void ReplyCaught(fuse_req_t request, const Work& again);

// `work` must own what it needs: it may be run again when the kernel's buffers are gone.
template <typename SomeWork>
void Serve(fuse_req_t request, SomeWork work) {
  try {
    work(request, RepositoryOf(request));
  } catch (...) {
    ReplyCaught(request, std::move(work));
  }
}

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_SERVE_H_
