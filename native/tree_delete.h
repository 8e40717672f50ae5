// Deleting a directory tree that a container made.
#ifndef THINLAYER_TREE_DELETE_H_
#define THINLAYER_TREE_DELETE_H_

#include <string>

#include "cancel.h"

namespace thinlayer {

// Deletes the directory `path` and all below it; a missing one is a success. Goes on after a failure, and throws the
// first one at the end. No link is followed, and a mount below (EXDEV) is neither entered nor removed. Once `cancel` is
// set it leaves the rest, and throws ECANCELED.
void DeleteTree(const std::string& path, const CancelFlag& cancel);

}  // namespace thinlayer

#endif  // THINLAYER_TREE_DELETE_H_
