// Deleting what is in the way, without following anything.
#ifndef THINLAYER_TREE_REMOVE_H_
#define THINLAYER_TREE_REMOVE_H_

#include <sys/stat.h>

#include <functional>
#include <string>

namespace thinlayer {

// Deletes `name` in `directory`, with all below it; what is missing is no error. `path` is for messages.
void RemoveAt(int directory, const std::string& name, const std::string& path);

// Deletes what is below `directory`, but for what `keep` wants, and the directories that hold that.
void RemoveBelow(int directory, const std::string& path, const std::function<bool(const struct stat&)>& keep);

}  // namespace thinlayer

#endif  // THINLAYER_TREE_REMOVE_H_
