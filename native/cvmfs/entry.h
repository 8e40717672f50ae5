// One row of a catalog, bounded: what a request may rely on.
#ifndef THINLAYER_CVMFS_ENTRY_H_
#define THINLAYER_CVMFS_ENTRY_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "md5.h"
#include "object_name.h"

namespace thinlayer::cvmfs {

enum EntryFlags : uint32_t {
  kFlagNestedMountpoint = 2,
  kFlagChunked = 64,
  kFlagExternal = 128,
  kFlagBindMountpoint = 0x4000,
  kFlagHidden = 0x8000,
  kFlagDirectIo = 0x10000,
};

// The columns of a row as SQLite gives them; `name`, `symlink`, `hash` and `xattr` are views into the statement.
struct Row {
  int64_t hardlinks = 0, size = 0, mode = 0, mtime = 0, mtimens = 0, flags = 0, uid = 0, gid = 0;
  std::string_view name, symlink, hash, xattr;
};

struct Chunk {
  uint64_t offset;
  uint64_t size;
  std::string object;
  bool operator==(const Chunk& other) const {
    return offset == other.offset && size == other.size && object == other.object;
  }
};

struct Entry {
  std::string name;
  std::string symlink;  // as in the catalog: variables are not expanded
  std::string hash;     // raw digest; empty if there is none
  std::string xattr;    // a blob for ParseXattrs
  std::vector<Chunk> chunks;
  // What makes two entries one inode for the kernel: path (or hard link group) and content. A path whose content
  // changes becomes another inode, so that files held open never share cached pages with their successors.
  PathHash identity;
  uint64_t size = 0;  // of devices: their number
  int64_t mtime = 0;
  uint32_t mtimens = 0;
  uint32_t mode = 0;
  uint32_t flags = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 1;
  uint32_t hardlink_group = 0;

  bool Has(EntryFlags flag) const { return (flags & flag) != 0; }
  bool IsNestedRoot() const { return Has(kFlagNestedMountpoint) || Has(kFlagBindMountpoint); }
  HashAlgorithm Algorithm() const;  // Fault{EIO} if unknown
  bool IsCompressed() const;        // Fault{EIO} if unknown

  // Whether a stat, a listing of attributes and a read give the same.
  bool LooksLike(const Entry& other) const;
};

using EntryPtr = std::shared_ptr<const Entry>;

// Fault{EIO} if a column holds what no file can have. `name` is checked by the caller, who knows what it should be.
Entry MakeEntry(const Row& row);

// Whether `name` can be that of a directory's entry.
bool IsFileName(std::string_view name);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_ENTRY_H_
