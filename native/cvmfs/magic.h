// Attributes that the file system itself has: what CVMFS calls magic extended attributes.
#ifndef THINLAYER_CVMFS_MAGIC_H_
#define THINLAYER_CVMFS_MAGIC_H_

#include <optional>
#include <string>

#include "repository.h"

namespace thinlayer::cvmfs {

// Nothing if an entry has no such attribute.
std::optional<std::string> MagicXattr(Repository& repository, CatalogTree& tree, const std::string& path,
                                      const Entry& entry, const std::string& name);

// Names that an entry has, those given by SetMagic included.
std::vector<std::string> MagicNames(Repository& repository, const Entry& entry);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_MAGIC_H_
