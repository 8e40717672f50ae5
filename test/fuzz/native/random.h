// Numbers that follow from a seed, and what to do with them to a sample.
#ifndef THINLAYER_FUZZ_RANDOM_H_
#define THINLAYER_FUZZ_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace thinlayer::fuzz {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();  // SplitMix64: neighbouring seeds have nothing in common
  size_t Below(size_t limit) { return limit == 0 ? 0 : Next() % limit; }
  bool OneIn(size_t chances) { return Below(chances) == 0; }
  // Often one at which something ends: 0, -1, the limits of 8, 16, 32 and 64 bits.
  int64_t Integer();
  template <typename Value>
  const Value& Of(const std::vector<Value>& values) {
    return values[Below(values.size())];
  }

 private:
  uint64_t state_;
};

// One of the samples with some edits: bytes changed, put in, cut out, repeated, taken from another sample. Seldom it
// stays as it is, or is nothing but random bytes.
std::string Mutated(Random& random, const std::vector<std::string>& samples);

}  // namespace thinlayer::fuzz

#endif  // THINLAYER_FUZZ_RANDOM_H_
