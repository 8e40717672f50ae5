// A zlib stream, inflated on a thread of the file lane into memory that is used again: Node's own streams take new memory for
// each piece, and that was a third of what a large object costs.
#ifndef THINLAYER_CVMFS_INFLATER_H_
#define THINLAYER_CVMFS_INFLATER_H_

#include <napi.h>

namespace thinlayer::cvmfs {

// `new Inflater()`, `inflate(piece, into, at)`, `left()`: see src/cvmfs/embedded/addon.ts.
void RegisterInflater(Napi::Env env, Napi::Object exports);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_INFLATER_H_
