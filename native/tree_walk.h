// A walk over a directory tree that lays the tree out as a tar archive would: for each entry a zeroed slot for its
// header, then its content, padded. The headers are written by JavaScript, into the same memory.
#ifndef THINLAYER_TREE_WALK_H_
#define THINLAYER_TREE_WALK_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "directory.h"
#include "xattr.h"

namespace thinlayer {

class TreeWalk {
 public:
  // With `only`, entries whose path (relative to `root`) is not in it are left out, with all that is below them. With
  // `names_only` no file is opened, and none has content.
  TreeWalk(std::string root, std::optional<std::unordered_set<std::string>> only, bool names_only);

  // Continues, until `capacity` bytes of `data` are nearly filled or the tree ends. The last file may go on in the
  // next batch, whose data then begins with the rest of its content. Answers the bytes used.
  size_t Fill(uint8_t* data, size_t capacity);

  // Of the last Fill: the entries whose slots are in it, as src/host/tree-batch.ts reads them.
  const std::string& table() const { return table_; }
  bool done() const { return done_; }

 private:
  struct Frame {
    Fd directory;
    std::vector<Name> names;
    size_t next;
    size_t path_length;  // of the directory's own path
  };
  struct Entry {
    struct stat stat;
    Fd fd;  // of regular files and directories
    std::string link;
    bool is_hard_link = false;
    Xattrs xattrs;
  };

  bool Step();
  void Visit(int directory, const Name& name);
  bool Inspect(int directory, const Name& name, Entry& entry);
  void FindFirstName(Entry& entry);
  void Emit(const Entry& entry);
  void Enter(Fd directory);
  bool ReadContent();
  size_t room() const { return capacity_ - used_; }

  const std::string root_;
  const std::optional<std::unordered_set<std::string>> only_;
  const bool names_only_;
  std::vector<Frame> stack_;
  std::string path_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
  bool started_ = false;
  bool done_ = false;

  // The file whose content is being read. `left_` counts down the size that its header tells.
  Fd file_;
  std::string file_path_;
  uint64_t left_ = 0;
  size_t padding_ = 0;

  uint8_t* data_ = nullptr;
  size_t capacity_ = 0;
  size_t used_ = 0;
  std::string table_;
};

}  // namespace thinlayer

#endif  // THINLAYER_TREE_WALK_H_
