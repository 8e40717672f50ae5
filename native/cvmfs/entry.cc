#include "entry.h"

#include <limits.h>

#include <cerrno>
#include <cstdint>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

uint32_t Unsigned32(int64_t value) {
  if (value < 0 || value > UINT32_MAX) throw Fault{EIO};
  return static_cast<uint32_t>(value);
}

uint32_t Mode(int64_t value) {
  if (value < 0 || value > (S_IFMT | 07777)) throw Fault{EIO};
  switch (value & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK: return static_cast<uint32_t>(value);
    default: throw Fault{EIO};
  }
}

}  // namespace

bool IsFileName(std::string_view name) {
  return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Entry MakeEntry(const Row& row) {
  Entry entry;
  entry.mode = Mode(row.mode);
  if (row.size < 0) throw Fault{EIO};
  entry.size = static_cast<uint64_t>(row.size);
  entry.mtime = row.mtime;
  if (row.mtimens < 0 || row.mtimens > 999'999'999) throw Fault{EIO};
  entry.mtimens = static_cast<uint32_t>(row.mtimens);
  entry.flags = Unsigned32(row.flags);
  entry.uid = Unsigned32(row.uid);
  entry.gid = Unsigned32(row.gid);
  entry.links = static_cast<uint32_t>(row.hardlinks);
  entry.hardlink_group = static_cast<uint32_t>(static_cast<uint64_t>(row.hardlinks) >> 32);
  if (!row.hash.empty() && row.hash.size() != kHashBytes) throw Fault{EIO};
  entry.hash = row.hash;
  if (S_ISLNK(entry.mode)) {
    bool good = !row.symlink.empty() && row.symlink.size() < PATH_MAX && row.symlink.find('\0') == std::string::npos;
    if (!good) throw Fault{EIO};
    entry.symlink = row.symlink;
  }
  entry.xattr = row.xattr;
  entry.name = row.name;
  return entry;
}

HashAlgorithm Entry::Algorithm() const {
  unsigned algorithm = flags >> 8 & 7;
  if (algorithm >= kHashAlgorithms) throw Fault{EIO};
  return static_cast<HashAlgorithm>(algorithm);
}

bool Entry::IsCompressed() const {
  unsigned compression = flags >> 11 & 7;
  if (compression > 1) throw Fault{EIO};
  return compression == 0;
}

bool Entry::LooksLike(const Entry& other) const {
  return identity == other.identity && mode == other.mode && size == other.size && mtime == other.mtime &&
         mtimens == other.mtimens && flags == other.flags && uid == other.uid && gid == other.gid &&
         links == other.links && symlink == other.symlink && hash == other.hash && xattr == other.xattr &&
         chunks == other.chunks;
}

}  // namespace thinlayer::cvmfs
