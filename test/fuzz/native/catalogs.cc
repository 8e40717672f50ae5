// Whole catalogs, as the threads that answer the kernel use them: nothing is mounted for it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../../../native/cvmfs/contents.h"
#include "../../../native/cvmfs/inodes.h"
#include "../../../native/cvmfs/layers.h"
#include "../../../native/cvmfs/listings.h"
#include "../../../native/cvmfs/variables.h"
#include "../../../native/cvmfs/xattrs.h"
#include "targets.h"

namespace thinlayer::fuzz {
namespace {

namespace fs = std::filesystem;
using cvmfs::EntryPtr;

const std::string kObject = "ba/" + std::string(38, 'd') + "C";
constexpr size_t kMaxSampleBytes = 128 << 10;  // larger ones take their time, and have more of the same
constexpr size_t kPathsOfCase = 6;
constexpr size_t kMaxDamage = 40;

std::string Contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What the kernel and a container would be shown.
void Show(Random& random, cvmfs::Objects& objects, const EntryPtr& entry) {
  static const cvmfs::Variables variables = {{"A", "value"}};
  REQUIRE(cvmfs::IsFileName(entry->name));
  cvmfs::Expand(entry->symlink, variables);
  cvmfs::Content content(entry, "/path");
  try {
    cvmfs::ParseXattrs(entry->xattr);
    if (!S_ISREG(entry->mode)) return;
    content.Find(objects, random.Below(1 << 20), random.Below(1 << 20));
    content.Find(objects, static_cast<uint64_t>(random.Integer()), 1 << 17);
  } catch (const cvmfs::Fault&) {
  } catch (const cvmfs::Missing& missing) {
    REQUIRE(cvmfs::IsObjectPath(missing.object.substr(0, missing.object.find(".raw"))));
  }
}

void ShowListing(Random& random, cvmfs::Objects& objects, cvmfs::Inodes& inodes, const std::vector<EntryPtr>& entries) {
  cvmfs::Listing listing({}, entries);
  REQUIRE(listing.places.size() <= entries.size());
  listing.After(static_cast<off_t>(random.Integer()));
  for (const EntryPtr& entry : entries) {
    Show(random, objects, entry);
    try {
      uint64_t number = inodes.Refer(cvmfs::kRootInode, *entry);
      REQUIRE(number > cvmfs::kRootInode);
      inodes.PathOf(number);
      inodes.Forget(number, 1);
    } catch (const cvmfs::Fault&) {
    }
  }
}

// A nested catalog is not in this cache; what would be asked of a server is the name of an object.
template <typename Work>
bool Try(Work work) {
  try {
    work();
    return true;
  } catch (const cvmfs::Fault&) {
    return false;
  } catch (const cvmfs::Missing& missing) {
    REQUIRE(cvmfs::IsObjectPath(missing.object) && missing.path.find("/..") == std::string::npos);
    return false;
  }
}

}  // namespace

Catalogs::Catalogs(const Places& places) : scratch_(places.scratch), file_(places.scratch + "/" + kObject) {
  fs::create_directories(fs::path(file_).parent_path());
  std::vector<fs::path> files;
  for (const auto& each : fs::directory_iterator(places.samples)) files.push_back(each.path());
  std::sort(files.begin(), files.end());  // or a seed would not repeat
  for (const fs::path& file : files) {
    if (fs::file_size(file) > kMaxSampleBytes) continue;
    Sample sample{Contents(file), {""}, {""}};
    Write(sample.bytes);
    cvmfs::Objects objects(scratch_);
    cvmfs::Connections connections(objects);
    auto catalog = cvmfs::Catalog::Load(connections, {kObject, 0}, "");
    for (size_t at = 0; at < sample.directories.size(); ++at) {
      const std::string directory = sample.directories[at];
      for (const EntryPtr& entry : catalog->List(directory)) {
        sample.paths.push_back(directory + "/" + entry->name);
        if (S_ISDIR(entry->mode)) sample.directories.push_back(sample.paths.back());
      }
    }
    samples_.push_back(std::move(sample));
  }
  REQUIRE(!samples_.empty());
}

Catalogs::~Catalogs() { fs::remove_all(fs::path(file_).parent_path()); }

void Catalogs::Write(const std::string& bytes) const {
  std::ofstream file(file_, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

bool Catalogs::Use(Random& random, const Sample& sample) const {
  cvmfs::Objects objects(scratch_);
  cvmfs::Connections connections(objects);
  cvmfs::Inodes inodes;
  bool shown = false;
  Try([&] {
    cvmfs::CatalogTree tree(connections, kObject, 1, nullptr);
    for (const auto& [path, reference] : tree.root().nested()) {
      REQUIRE(path[0] == '/' && cvmfs::IsObjectPath(reference.object));
    }
    for (size_t n = 0; n < kPathsOfCase; ++n) {
      const std::string& directory = n == 0 ? sample.directories.front() : random.Of(sample.directories);
      const std::string& path = random.Of(sample.paths);
      shown |= Try([&] { ShowListing(random, objects, inodes, tree.List(directory)); });
      Try([&] { ShowListing(random, objects, inodes, cvmfs::ListLayer(tree, directory)); });
      Try([&] { if (EntryPtr entry = tree.Find(path); entry && !path.empty()) Show(random, objects, entry); });
      Try([&] { cvmfs::FindInLayer(tree, directory, random.OneIn(2) ? "name" : std::string(252, 'n')); });
    }
  });
  return shown;
}

bool Catalogs::Damaged(Random& random) {
  const Sample& sample = random.Of(samples_);
  std::string bytes = sample.bytes;
  // The header is checked by SQLite at once: it is spared mostly.
  size_t spared = random.OneIn(8) ? 0 : 100;
  for (size_t left = 1 + random.Below(kMaxDamage); left > 0; --left) {
    bytes[spared + random.Below(bytes.size() - spared)] = static_cast<char>(random.Next());
  }
  if (random.OneIn(10)) bytes.resize(random.Below(bytes.size()));
  Write(bytes);
  return Use(random, sample);
}

bool Catalogs::Lying(Random& random) {
  const Sample& sample = random.Of(samples_);
  Write(sample.bytes);
  Poison(random, file_, sample.directories);
  return Use(random, sample);
}

}  // namespace thinlayer::fuzz
