// One tree being written below a root: what each record of a batch does.
#ifndef THINLAYER_TREE_H_
#define THINLAYER_TREE_H_

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tree_batch.h"
#include "tree_directories.h"

namespace thinlayer {

struct TreeOptions {
  std::string root;
  // Owner of missing parents.
  uid_t uid;
  gid_t gid;
  // "trusted.overlay.opaque" or "user.overlay.opaque".
  std::string opaque_name;
  // Remember what is created, which Clear() must not delete.
  bool clears;
};

// Everything throws SyscallError. Used by one thread at a time.
class Tree {
 public:
  explicit Tree(TreeOptions options);

  // The next record of the batch.
  void Do(TreeBatch& batch);
  // Ends the last file and sets the times of directories: making what is in them changed those.
  void Finish();

 private:
  // The last component of a path, and the directory that holds it.
  struct Place {
    const std::string& path;
    std::string base;
    Directory parent;
  };
  struct OpenFile {
    Fd fd;
    TreeNode node;
    off_t end = 0;
  };

  void Create(TreeNode node);
  void CreateFile(TreeNode node);
  void CreateDirectory(const TreeNode& node);
  Directory MakeDirectory(const TreeNode& node);
  void CreateLink(const TreeNode& node);
  void CreateSpecial(const TreeNode& node);
  void Describe(const Place& place, const TreeMetadata& metadata);
  void Write(off_t offset, const uint8_t* bytes, size_t length);
  void EndFile();
  void Whiteout(const std::string& path, const TreeMetadata& metadata);
  void MakeOpaque(int directory, const std::string& path);
  void Remove(const std::string& path);
  void Clear(const std::string& path);

  Place PlaceOf(const std::string& path);
  Directory OpenAt(const Place& place);
  template <typename Make>
  void MakeOrReplace(const char* call, const Place& place, Make make);
  void RemoveAtPlace(int parent, const std::string& base, const std::string& path);
  void Note(const struct stat& status);

  const TreeOptions options_;
  Directories directories_;
  std::optional<OpenFile> file_;
  std::vector<std::pair<std::string, timespec>> directory_times_;
  std::set<std::pair<dev_t, ino_t>> created_;
};

}  // namespace thinlayer

#endif  // THINLAYER_TREE_H_
