#include "object_name.h"

#include <algorithm>

namespace thinlayer::cvmfs {
namespace {

constexpr std::string_view kTails[kHashAlgorithms] = {"", "-rmd160", "-shake128"};
constexpr size_t kDigits = 2 * kHashBytes;

bool IsDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsHashText(std::string_view text) {
  if (text.size() < kDigits || !std::all_of(text.begin(), text.begin() + kDigits, IsDigit)) return false;
  return std::find(std::begin(kTails), std::end(kTails), text.substr(kDigits)) != std::end(kTails);
}

}  // namespace

std::string HashText(std::string_view digest, HashAlgorithm algorithm) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : digest) text += {kHex[byte >> 4], kHex[byte & 15]};
  return text.append(kTails[static_cast<unsigned>(algorithm)]);
}

std::string ObjectPath(std::string_view hash_text, std::string_view letter) {
  if (!IsHashText(hash_text)) return "";
  std::string path(hash_text.substr(0, 2));
  return path.append("/").append(hash_text.substr(2)).append(letter);
}

std::string CachedName(const std::string& object_path, bool compressed) {
  return compressed ? object_path : object_path + ".raw";
}

bool IsObjectPath(std::string_view path) {
  if (path.size() < 3 || path[2] != '/') return false;
  std::string text = std::string(path.substr(0, 2)).append(path.substr(3));
  if (IsHashText(text)) return true;
  char letter = text.back();
  text.pop_back();
  return std::string_view("CPXHM").find(letter) != std::string_view::npos && IsHashText(text);
}

}  // namespace thinlayer::cvmfs
