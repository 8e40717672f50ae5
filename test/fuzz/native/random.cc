#include "random.h"

#include <algorithm>

namespace thinlayer::fuzz {
namespace {

constexpr size_t kMaxEdits = 6;
constexpr size_t kMaxPiece = 300;

const std::vector<std::string>& Pieces() {
  static const std::vector<std::string> pieces = {
      "/", "..", "../", "/./", "//", ".", std::string(1, '\0'), "$(", ")", ":-", "$(A:-$(B))", "\n", "\xff", "`id`",
      ";id;", ".wh.", ".wh..wh..opq", "-rmd160", "-shake128", "%s%n", std::string(256, 'n'), std::string(4096, 'p')};
  return pieces;
}

std::string Bytes(Random& random, size_t count) {
  std::string bytes;
  while (bytes.size() < count) bytes += static_cast<char>(random.Next());
  return bytes;
}

void Edit(Random& random, std::string& text, const std::vector<std::string>& samples) {
  size_t at = random.Below(text.size() + 1);
  size_t count = random.Below(std::min(kMaxPiece, text.size() - at) + 1);
  switch (random.Below(6)) {
    case 0: text.insert(at, random.Of(Pieces())); break;
    case 1: text.erase(at, count); break;
    case 2: text.insert(at, text.substr(at, count)); break;
    case 3: text.insert(at, Bytes(random, random.Below(8))); break;
    case 4: text.replace(at, count, random.Of(samples)); break;
    default:
      if (at < text.size()) text[at] = static_cast<char>(random.Integer());
  }
}

}  // namespace

uint64_t Random::Next() {
  uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

int64_t Random::Integer() {
  static const std::vector<int> bits = {0, 7, 8, 15, 16, 31, 32, 63};
  uint64_t edge = (uint64_t{1} << Of(bits)) - 2 + Below(5);
  switch (Below(4)) {
    case 0: return static_cast<int64_t>(Next());
    case 1: return static_cast<int64_t>(Below(70'000));
    case 2: return static_cast<int64_t>(0 - edge);
    default: return static_cast<int64_t>(edge);
  }
}

std::string Mutated(Random& random, const std::vector<std::string>& samples) {
  if (random.OneIn(20)) return Bytes(random, random.Below(kMaxPiece));
  std::string text = random.Of(samples);
  for (size_t edits = random.Below(kMaxEdits + 1); edits > 0; --edits) Edit(random, text, samples);
  return text;
}

}  // namespace thinlayer::fuzz
