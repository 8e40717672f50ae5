// The name of overlayfs's mark of a directory below which nothing of the lower layers is seen.
#ifndef THINLAYER_OPAQUE_H_
#define THINLAYER_OPAQUE_H_

#include <string>

namespace thinlayer {

// In a user name space overlayfs is mounted with `userxattr`, and has its marks among those that anybody may set;
// outside they are the kernel's alone, and a container that sets user.overlay.opaque has set nothing.
const std::string& OpaqueXattr();

}  // namespace thinlayer

#endif  // THINLAYER_OPAQUE_H_
