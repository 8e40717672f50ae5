// Reading directories of a tree that somebody may be changing at the same moment: a running container.
//
// No call follows a symlink, and every path is one name relative to its directory's descriptor: what is renamed or
// replaced under us can hide an entry, but never leads out of the tree.
#ifndef THINLAYER_DIRECTORY_H_
#define THINLAYER_DIRECTORY_H_

#include <sys/stat.h>

#include <string>
#include <vector>

#include "fd.h"

namespace thinlayer {

// PATH_MAX / 2: what is nested deeper has no path that a program could use.
constexpr size_t kMaxDepth = 2048;

struct Name {
  std::string text;
  unsigned char type;  // DT_*, DT_UNKNOWN on file systems that do not tell
};

// Throws if `path` is not a directory.
Fd OpenRoot(const std::string& path);

// The entry is gone, or is no longer what was asked for: an invalid Fd. Other failures throw; `path` is for them.
Fd OpenDirectory(int parent, const std::string& name, const std::string& path);
Fd OpenFile(int parent, const std::string& name, const std::string& path);

// False if the entry is gone.
bool Stat(int parent, const std::string& name, const std::string& path, struct stat* result);

// In the order of their bytes, without "." and "..".
std::vector<Name> List(int directory, const std::string& path);

// 0:0 character devices are overlayfs's mark of a deleted name.
inline bool IsWhiteout(const struct stat& s) { return S_ISCHR(s.st_mode) && s.st_rdev == 0; }

}  // namespace thinlayer

#endif  // THINLAYER_DIRECTORY_H_
