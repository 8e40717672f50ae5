// Container layers in a repository, as overlayfs wants them. Publishers leave a tar's `.wh.NAME` and `.wh..wh..opq` files
// as they are, which overlayfs would show, together with the files that they delete.
#ifndef THINLAYER_CVMFS_LAYERS_H_
#define THINLAYER_CVMFS_LAYERS_H_

#include <string>
#include <vector>

#include "catalog_tree.h"

namespace thinlayer::cvmfs {

// Whether entries of `directory` are those of layers.
bool IsInLayers(const std::string& directory);

// As CatalogTree::Find and List, below such a directory: NAME is a whiteout (character device 0:0) if there is a
// `.wh.NAME` and no NAME; what serves as a mark, and `.cvmfscatalog`, is not there. No whiteouts where the directory is cut off.
EntryPtr FindInLayer(CatalogTree& tree, const std::string& directory, const std::string& name);
std::vector<EntryPtr> ListLayer(CatalogTree& tree, const std::string& directory);

// A directory of a layer, whose path begins with "/": it has a `.wh..wh..opq`, or there is a `.wh.NAME` beside it.
bool IsOpaque(CatalogTree& tree, const std::string& directory);

// Whether that, or a directory around it, is opaque: overlayfs then has nothing to merge with it, and would list its whiteouts.
bool IsCutOff(CatalogTree& tree, std::string directory);
// The same, but for what the directory itself holds.
bool IsCutOffAround(CatalogTree& tree, const std::string& directory);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_LAYERS_H_
