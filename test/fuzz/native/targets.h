// What is fuzzed. A target runs one case, and answers whether anything of it was taken; it ends the process where something
// happens that must not.
#ifndef THINLAYER_FUZZ_TARGETS_H_
#define THINLAYER_FUZZ_TARGETS_H_

#include <string>

#include "random.h"

namespace thinlayer::fuzz {

struct Places {
  std::string samples;  // a directory of catalogs
  std::string scratch;  // an empty directory
};

// Says what, and where a case goes on from; then it is over. A sanitizer's findings end the process by themselves.
[[noreturn]] void Fail(const char* condition, const char* file, int line);
#define REQUIRE(condition) \
  do { \
    if (!(condition)) ::thinlayer::fuzz::Fail(#condition, __FILE__, __LINE__); \
  } while (false)

bool XattrBlob(Random& random);
bool LinkTarget(Random& random);
bool HashText(Random& random);
bool CatalogRow(Random& random);

class Catalogs {
 public:
  explicit Catalogs(const Places& places);
  ~Catalogs();
  Catalogs(const Catalogs&) = delete;
  // One whose bytes are damaged, and one whose rows lie.
  bool Damaged(Random& random);
  bool Lying(Random& random);

 private:
  struct Sample {
    std::string bytes;
    std::vector<std::string> directories;
    std::vector<std::string> paths;
  };
  void Write(const std::string& bytes) const;
  bool Use(Random& random, const Sample& sample) const;

  const std::string scratch_;
  const std::string file_;
  std::vector<Sample> samples_;
};

// SQL that makes a catalog lie, on a file.
void Poison(Random& random, const std::string& file, const std::vector<std::string>& directories);

}  // namespace thinlayer::fuzz

#endif  // THINLAYER_FUZZ_TARGETS_H_
