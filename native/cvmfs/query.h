// One query of a database of CVMFS that is no catalog: the history, say.
#ifndef THINLAYER_CVMFS_QUERY_H_
#define THINLAYER_CVMFS_QUERY_H_

#include <napi.h>

namespace thinlayer::cvmfs {

// (path, sql, words): a promise of the first row's columns as text, or of null. `sql` is ours, the file is a stranger's.
Napi::Value QueryDatabase(const Napi::CallbackInfo& info);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_QUERY_H_
