// Names of objects: where the content of a hash lies below the cache directory (and below data/ on a server).
#ifndef THINLAYER_CVMFS_OBJECT_NAME_H_
#define THINLAYER_CVMFS_OBJECT_NAME_H_

#include <string>
#include <string_view>

namespace thinlayer::cvmfs {

// In the order of the format, which counts from SHA-1 in an entry's flags.
enum class HashAlgorithm { kSha1 = 0, kRmd160 = 1, kShake128 = 2 };
constexpr unsigned kHashAlgorithms = 3;
constexpr size_t kHashBytes = 20;

// "b6c1…9e-rmd160", as manifests and catalogs write it.
std::string HashText(std::string_view digest, HashAlgorithm algorithm);

// "b6/c1…9e-rmd160P" of such a text and a letter ("" for a whole file). Empty if the text is no hash.
std::string ObjectPath(std::string_view hash_text, std::string_view letter);

// Its name in the cache: what the server has as it is and what it has compressed may have one hash, and are two objects.
std::string CachedName(const std::string& object_path, bool compressed);

// Whether `path` has the form of an object path, and so leads nowhere else.
bool IsObjectPath(std::string_view path);

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_OBJECT_NAME_H_
