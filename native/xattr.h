// Extended attributes of an open file.
#ifndef THINLAYER_XATTR_H_
#define THINLAYER_XATTR_H_

#include <string>
#include <utility>
#include <vector>

namespace thinlayer {

using Xattrs = std::vector<std::pair<std::string, std::string>>;

// Sorted by name, of those that mean something to an archive or to overlayfs. None where the file system has none.
Xattrs ReadXattrs(int fd, const std::string& path);

// Whether a directory hides what lies below it: `trusted.overlay.opaque`, in a user name space `user.overlay.opaque`.
bool IsOpaque(int directory);

// `security.capability` of an entry that need not be a file that can be opened; empty if it has none.
std::string ReadCapability(int parent, const std::string& name);

}  // namespace thinlayer

#endif  // THINLAYER_XATTR_H_
