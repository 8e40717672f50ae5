#include "md5.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace thinlayer::cvmfs {
namespace {

using Words = std::array<uint32_t, 4>;

constexpr int kShifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

// The integer part of 2^32 times abs(sin(i + 1)).
const std::array<uint32_t, 64>& Sines() {
  static const std::array<uint32_t, 64> sines = [] {
    std::array<uint32_t, 64> made{};
    for (int i = 0; i < 64; ++i) made[i] = static_cast<uint32_t>(std::floor(std::fabs(std::sin(i + 1.0)) * 4294967296.0));
    return made;
  }();
  return sines;
}

uint32_t RotateLeft(uint32_t value, int by) { return value << by | value >> (32 - by); }

void Block(Words& state, const unsigned char* block, const std::array<uint32_t, 64>& sines) {
  uint32_t words[16];
  std::memcpy(words, block, sizeof words);  // little-endian machines only, as is the format
  auto [a, b, c, d] = state;
  for (int i = 0; i < 64; ++i) {
    uint32_t mixed;
    int word;
    switch (i / 16) {
      case 0: mixed = (b & c) | (~b & d), word = i; break;
      case 1: mixed = (d & b) | (~d & c), word = (5 * i + 1) % 16; break;
      case 2: mixed = b ^ c ^ d, word = (3 * i + 5) % 16; break;
      default: mixed = c ^ (b | ~d), word = (7 * i) % 16; break;
    }
    uint32_t turned = b + RotateLeft(a + mixed + sines[i] + words[word], kShifts[i / 16][i % 4]);
    a = d, d = c, c = b, b = turned;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

}  // namespace

PathHash Md5(std::string_view bytes) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  const auto& sines = Sines();
  Words state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  auto data = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t whole = bytes.size() / 64 * 64;
  for (size_t at = 0; at < whole; at += 64) Block(state, data + at, sines);
  unsigned char tail[128] = {};
  size_t rest = bytes.size() - whole;
  if (rest > 0) std::memcpy(tail, data + whole, rest);
  tail[rest] = 0x80;
  size_t length = rest < 56 ? 64 : 128;
  uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
  std::memcpy(tail + length - 8, &bits, 8);
  for (size_t at = 0; at < length; at += 64) Block(state, tail + at, sines);
  int64_t halves[2];
  std::memcpy(halves, state.data(), sizeof halves);
  return {halves[0], halves[1]};
}

}  // namespace thinlayer::cvmfs
