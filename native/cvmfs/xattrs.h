// Extended attributes of an entry, packed into one blob of its row.
#ifndef THINLAYER_CVMFS_XATTRS_H_
#define THINLAYER_CVMFS_XATTRS_H_

#include <map>
#include <string>
#include <string_view>

namespace thinlayer::cvmfs {

using Xattrs = std::map<std::string, std::string, std::less<>>;

// Throws Fault{EIO} if the blob is not what the format says. Empty blob: no attributes.
Xattrs ParseXattrs(std::string_view blob);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_XATTRS_H_
