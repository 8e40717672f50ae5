// fuzz TARGET CASES SEED SAMPLES SCRATCH: runs cases SEED, SEED + 1, … of a target. A case that fails is told by its seed:
// with it, and one case, it is repeated.
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>

#include "targets.h"

namespace thinlayer::fuzz {
namespace {

const char* target_name = "";
uint64_t seed = 0;

void TellSeed() { fprintf(stderr, "fuzz: failed: target %s, 1 case, seed %" PRIu64 "\n", target_name, seed); }

using Case = std::function<bool(Random&)>;

Case TargetOf(const std::string& name, const Places& places) {
  static const std::map<std::string, bool (*)(Random&)> texts = {
      {"xattrs", XattrBlob}, {"links", LinkTarget}, {"hashes", HashText}, {"rows", CatalogRow}};
  if (auto found = texts.find(name); found != texts.end()) return found->second;
  auto catalogs = std::make_shared<Catalogs>(places);
  if (name == "damaged-catalogs") return [catalogs](Random& random) { return catalogs->Damaged(random); };
  if (name == "lying-catalogs") return [catalogs](Random& random) { return catalogs->Lying(random); };
  return nullptr;
}

int Run(const Case& run, uint64_t cases) {
  uint64_t first = seed, taken = 0;
  for (; seed < first + cases; ++seed) {
    Random random(seed);
    taken += run(random);
  }
  printf("%s: %" PRIu64 " cases from seed %" PRIu64 ", something taken of %" PRIu64 "\n", target_name, cases, first, taken);
  return 0;
}

}  // namespace

void Fail(const char* condition, const char* file, int line) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
  TellSeed();
  _exit(1);
}

}  // namespace thinlayer::fuzz

int main(int count, char** words) {
  using namespace thinlayer::fuzz;
  Case run = count == 6 ? TargetOf(words[1], {words[4], words[5]}) : nullptr;
  if (!run) {
    fputs("usage: fuzz TARGET CASES SEED SAMPLES SCRATCH\n", stderr);
    return 2;
  }
  target_name = words[1];
  seed = strtoull(words[3], nullptr, 10);
  __sanitizer_set_death_callback(TellSeed);
  // Only faults and misses may be thrown: anything else would end the client.
  std::set_terminate([] { TellSeed(), abort(); });
  return Run(run, strtoull(words[2], nullptr, 10));
}
