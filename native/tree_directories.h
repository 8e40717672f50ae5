// Directories below a root, kept open while neighbours are written: entries of an archive mostly follow their siblings.
#ifndef THINLAYER_TREE_DIRECTORIES_H_
#define THINLAYER_TREE_DIRECTORIES_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "rooted.h"

namespace thinlayer {

// Shared, because the one in use must outlive its place in the cache.
using Directory = std::shared_ptr<const Fd>;

class Directories {
 public:
  // `uid` and `gid` own the directories that have to be made.
  Directories(const std::string& root, uid_t uid, gid_t gid);

  const Directory& Root() const { return root_; }
  // The directory at `path` ("" is the root); null with errno if it cannot be opened.
  Directory Find(const std::string& path);
  // The same; it and its parents are made if they are missing, mode 0755.
  Directory Require(const std::string& path);
  void Remember(const std::string& path, Directory directory);
  // To be called when a directory or symlink was removed: what is kept may have been reached through it.
  void Forget() { open_.clear(); }

 private:
  Directory Make(const std::string& path);
  Directory MakeOne(const Fd& parent, const std::string& name, const std::string& path);

  Directory root_;
  const uid_t uid_;
  const gid_t gid_;
  std::unordered_map<std::string, Directory> open_;
};

}  // namespace thinlayer

#endif  // THINLAYER_TREE_DIRECTORIES_H_
