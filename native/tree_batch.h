// The form in which work for a tree comes from JavaScript: records one behind the other in a buffer, little-endian,
// written by src/host/tree-batch.ts. Numbers that may pass 2^32 are doubles, exact up to 2^53.
#ifndef THINLAYER_TREE_BATCH_H_
#define THINLAYER_TREE_BATCH_H_

#include <sys/types.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace thinlayer {

// First byte of a record.
enum class TreeOp : uint8_t {
  kCreate = 1,    // TreeNode
  kWrite = 2,     // double offset, u32 length, bytes
  kWhiteout = 3,  // u16 length + path, TreeOwner, TreeTime
  kOpaque = 4,    // u16 length + path
  kRemove = 5,    // u16 length + path
  kClear = 6,     // u16 length + path
};

enum class TreeNodeType : uint8_t {
  kDirectory = 1,
  kFile = 2,
  kSymlink = 3,
  kLink = 4,
  kCharacterDevice = 5,
  kBlockDevice = 6,
  kFifo = 7,
};

struct TreeMetadata {
  mode_t mode;  // 0 to 07777
  uid_t uid;
  gid_t gid;
  timespec mtime;
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// u8 type, u16 length + path, u32 mode, u32 uid, u32 gid, double seconds, u32 nanoseconds,
// u16 count of xattrs (u16 length + name, u32 length + value), then what the type needs:
// file: double size; symlink, link: u16 length + target; devices: u32 major, u32 minor.
struct TreeNode {
  TreeNodeType type;
  std::string path;
  TreeMetadata metadata;
  off_t size = 0;
  std::string target;
  dev_t device = 0;
};

// Reads one batch. A record that does not end within it is a fault of ours, and a SyscallError EBADMSG.
class TreeBatch {
 public:
  TreeBatch(const uint8_t* data, size_t length) : at_(data), end_(data + length) {}
  bool AtEnd() const { return at_ == end_; }

  TreeOp Op();
  TreeNode Node();
  TreeMetadata WhiteoutMetadata();
  std::string Path();
  off_t Offset();
  std::pair<const uint8_t*, size_t> Bytes();

 private:
  const uint8_t* Take(size_t length);
  template <typename T>
  T Number();
  template <typename Length>
  std::string Text();
  timespec Time();

  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace thinlayer

#endif  // THINLAYER_TREE_BATCH_H_
