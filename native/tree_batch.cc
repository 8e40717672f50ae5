#include "tree_batch.h"

#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "worker.h"

namespace thinlayer {

const uint8_t* TreeBatch::Take(size_t length) {
  if (length > static_cast<size_t>(end_ - at_)) FailWith(EBADMSG, "batch", "", "a record is cut short");
  return std::exchange(at_, at_ + length);
}

template <typename T>
T TreeBatch::Number() {
  T value;
  std::memcpy(&value, Take(sizeof(T)), sizeof(T));
  return value;
}

template <typename Length>
std::string TreeBatch::Text() {
  size_t length = Number<Length>();
  return std::string(reinterpret_cast<const char*>(Take(length)), length);
}

timespec TreeBatch::Time() {
  timespec time;
  time.tv_sec = static_cast<time_t>(Number<double>());
  time.tv_nsec = Number<uint32_t>();
  return time;
}

TreeOp TreeBatch::Op() { return static_cast<TreeOp>(Number<uint8_t>()); }

std::string TreeBatch::Path() { return Text<uint16_t>(); }

off_t TreeBatch::Offset() { return static_cast<off_t>(Number<double>()); }

std::pair<const uint8_t*, size_t> TreeBatch::Bytes() {
  size_t length = Number<uint32_t>();
  return {Take(length), length};
}

TreeMetadata TreeBatch::WhiteoutMetadata() {
  TreeMetadata metadata{};
  metadata.uid = Number<uint32_t>();
  metadata.gid = Number<uint32_t>();
  metadata.mtime = Time();
  return metadata;
}

TreeNode TreeBatch::Node() {
  TreeNode node;
  node.type = static_cast<TreeNodeType>(Number<uint8_t>());
  node.path = Path();
  node.metadata.mode = Number<uint32_t>() & 07777;
  node.metadata.uid = Number<uint32_t>();
  node.metadata.gid = Number<uint32_t>();
  node.metadata.mtime = Time();
  for (size_t count = Number<uint16_t>(); count > 0; --count) {
    std::string name = Text<uint16_t>();
    node.metadata.xattrs.emplace_back(std::move(name), Text<uint32_t>());
  }
  if (node.type == TreeNodeType::kFile) node.size = Offset();
  if (node.type == TreeNodeType::kSymlink || node.type == TreeNodeType::kLink) node.target = Path();
  if (node.type == TreeNodeType::kCharacterDevice || node.type == TreeNodeType::kBlockDevice) {
    uint32_t major = Number<uint32_t>();
    node.device = makedev(major, Number<uint32_t>());
  }
  return node;
}

}  // namespace thinlayer
