// A small object, put into the cache at one go.
#ifndef THINLAYER_CVMFS_STORE_OBJECT_H_
#define THINLAYER_CVMFS_STORE_OBJECT_H_

#include <napi.h>

namespace thinlayer::cvmfs {

// (draft, bytes, log, line, path): a promise. Writes `bytes` to the new file `draft`, appends `line` to `log`, and renames
// the draft to `path`, whose directory is made if need be. After a failure the draft may be there.
Napi::Value StoreObject(const Napi::CallbackInfo& info);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_STORE_OBJECT_H_
