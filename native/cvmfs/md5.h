// MD5 (RFC 1321), with which catalogs address paths. It protects nothing here: contents have hashes of their own.
#ifndef THINLAYER_CVMFS_MD5_H_
#define THINLAYER_CVMFS_MD5_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace thinlayer::cvmfs {

// A digest as catalogs store it: two halves, each read as a little-endian signed integer.
struct PathHash {
  int64_t first = 0;
  int64_t second = 0;
  bool operator==(const PathHash& other) const { return first == other.first && second == other.second; }
  bool operator!=(const PathHash& other) const { return !(*this == other); }
};

// Spread evenly already.
struct PathHashHasher {
  size_t operator()(const PathHash& hash) const { return static_cast<size_t>(hash.first); }
};

PathHash Md5(std::string_view bytes);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_MD5_H_
