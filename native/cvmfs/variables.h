// Variables in the targets of symlinks.
#ifndef THINLAYER_CVMFS_VARIABLES_H_
#define THINLAYER_CVMFS_VARIABLES_H_

#include <map>
#include <string>

namespace thinlayer::cvmfs {

using Variables = std::map<std::string, std::string, std::less<>>;

// `$(NAME)` and `$(NAME:-default)`; the value of one that is not set is its default, or nothing. One that is not
// closed stays as it is. Values are not expanded again.
std::string Expand(const std::string& target, const Variables& variables);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_VARIABLES_H_
