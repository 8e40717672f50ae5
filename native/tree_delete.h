// Deleting a directory tree that a container made.
#ifndef THINLAYER_TREE_DELETE_H_
#define THINLAYER_TREE_DELETE_H_

#include <string>

namespace thinlayer {

// Deletes the directory `path` and all below it; a missing one is a success. Goes on after a failure, and throws the
// first one at the end. No link is followed, and a mount below (EXDEV) is neither entered nor removed.
void DeleteTree(const std::string& path);

}  // namespace thinlayer

#endif  // THINLAYER_TREE_DELETE_H_
