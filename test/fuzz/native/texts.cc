// What a catalog's columns hold, through the functions that take it apart.
#include <algorithm>

#include "../../../native/cvmfs/contents.h"
#include "../../../native/cvmfs/fault.h"
#include "../../../native/cvmfs/misses.h"
#include "../../../native/cvmfs/variables.h"
#include "../../../native/cvmfs/xattrs.h"
#include "targets.h"

namespace thinlayer::fuzz {
namespace {

using Samples = std::vector<std::string>;

const std::string kNul(1, '\0');
const std::string kDigest = "0123456789abcdefghij";

const Samples& Blobs() {
  static const Samples blobs = {
      "",
      kNul,
      std::string("\x01\x00", 2),
      "\x01\x01\x09\x05user.nameValue",
      std::string("\x01\x02\x06\x00user.a\x08\x03user.bcdxyz", 24),
      "\x01\x01\x13\x14security.capability\x01" + std::string(19, '\x02'),
      "\x01\xff\x05\x10user",
  };
  return blobs;
}

const Samples& Links() {
  static const Samples links = {"a",           "../b/c", "/etc/passwd", "$(CVMFS_FIX_ARCH)/lib", "x-$(NONE:-fallback)-$(A)",
                                "$(A$(A:-b))", "$()",    "$(:-)",       "$($($(",                ":-)"};
  return links;
}

const Samples& Hashes() {
  static const Samples hashes = {std::string(40, 'a'), std::string(40, '0') + "-rmd160",
                                 "0123456789abcdef0123456789abcdef01234567-shake128", std::string(39, 'b'),
                                 "../../../../etc/passwd", std::string(40, 'F')};
  return hashes;
}

void RequireInside(const std::string& object) {
  REQUIRE(cvmfs::IsObjectPath(object));
  REQUIRE(object[2] == '/' && object.find('/', 3) == std::string::npos);
  REQUIRE(object.find('.') == std::string::npos && object.find('\0') == std::string::npos);
}

cvmfs::Row RandomRow(Random& random) {
  static const std::vector<int64_t> modes = {0100644, 0104755, 040755, 0120777, 020600, 060600, 010644, 0140755};
  cvmfs::Row row;
  for (int64_t* number : {&row.hardlinks, &row.size, &row.mtime, &row.mtimens, &row.flags, &row.uid, &row.gid}) {
    *number = random.OneIn(8) ? random.Integer() : static_cast<int64_t>(random.Below(70'000));
  }
  row.mode = random.OneIn(4) ? random.Integer() : random.Of(modes);
  return row;
}

void RequireSound(const cvmfs::Entry& entry) {
  REQUIRE((entry.mode & ~(S_IFMT | 07777u)) == 0 && entry.mtimens < 1'000'000'000);
  REQUIRE(entry.hash.empty() || entry.hash.size() == cvmfs::kHashBytes);
  REQUIRE(static_cast<int64_t>(entry.size) >= 0);
  REQUIRE(S_ISLNK(entry.mode) == !entry.symlink.empty() && entry.symlink.find('\0') == std::string::npos);
}

// As a read does it, in a cache that has nothing.
void Read(Random& random, const cvmfs::Entry& entry) {
  static cvmfs::Objects objects("/nonexistent");
  cvmfs::Content content(std::make_shared<cvmfs::Entry>(entry), "/path");
  try {
    REQUIRE(content.Find(objects, static_cast<uint64_t>(random.Integer()), random.Below(1 << 20)).empty());
  } catch (const cvmfs::Missing& missing) {
    RequireInside(missing.object.substr(0, missing.object.find(".raw")));
  }
}

}  // namespace

bool XattrBlob(Random& random) {
  std::string blob = Mutated(random, Blobs());
  try {
    for (const auto& [name, value] : cvmfs::ParseXattrs(blob)) {
      REQUIRE(!name.empty() && name.size() < 256 && value.size() < 256 && name.find('\0') == std::string::npos);
    }
    return true;
  } catch (const cvmfs::Fault&) {
    return false;
  }
}

bool LinkTarget(Random& random) {
  static const cvmfs::Variables variables = {{"A", "$(A)$(B)"}, {"CVMFS_FIX_ARCH", "x86_64"}, {"", "empty"}};
  std::string link = Mutated(random, Links());
  // The longest value has eight bytes and the shortest variable three.
  std::string target = cvmfs::Expand(link, variables);
  REQUIRE(target.size() <= 3 * link.size());
  return target != link;
}

bool HashText(Random& random) {
  std::string path = cvmfs::ObjectPath(Mutated(random, Hashes()), random.OneIn(2) ? "C" : "");
  if (!path.empty()) RequireInside(path);
  std::string text = Mutated(random, Hashes());
  if (cvmfs::IsObjectPath(text)) RequireInside(text);
  if (cvmfs::IsFileName(text)) REQUIRE(text.size() < 256 && text.find('/') == std::string::npos && text != "..");
  return !path.empty();
}

bool CatalogRow(Random& random) {
  cvmfs::Row row = RandomRow(random);
  std::string name = Mutated(random, Links()), link = Mutated(random, Links()), blob = Mutated(random, Blobs());
  std::string hash = random.OneIn(4) ? Mutated(random, Hashes()) : kDigest;
  row.name = name, row.symlink = link, row.xattr = blob, row.hash = hash;
  try {
    cvmfs::Entry entry = cvmfs::MakeEntry(row);
    RequireSound(entry);
    // Without the chunks that a chunked file must have there is nothing to read.
    if (S_ISREG(entry.mode) && !entry.Has(cvmfs::kFlagChunked)) Read(random, entry);
    cvmfs::ParseXattrs(entry.xattr);
    return true;
  } catch (const cvmfs::Fault&) {
    return false;
  }
}

}  // namespace thinlayer::fuzz
