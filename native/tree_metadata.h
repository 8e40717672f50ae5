// Owner, attributes, mode and times of a file that was just made.
#ifndef THINLAYER_TREE_METADATA_H_
#define THINLAYER_TREE_METADATA_H_

#include <sys/stat.h>

#include <string>

#include "tree_batch.h"

namespace thinlayer {

// `fd` may be O_PATH, of any type of file: nothing is opened or followed. Only what differs is changed. Answers the
// file's status as it was before. Times are left alone: they come last, see SetTimes.
struct stat SetMetadata(int fd, const TreeMetadata& metadata, const std::string& path);

// For a descriptor that is not O_PATH.
void SetTimes(int fd, const timespec& mtime, const std::string& path);
void SetTimesAt(int directory, const std::string& name, const timespec& mtime, const std::string& path);

}  // namespace thinlayer

#endif  // THINLAYER_TREE_METADATA_H_
