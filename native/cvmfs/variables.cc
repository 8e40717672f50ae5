#include "variables.h"

#include <string_view>

namespace thinlayer::cvmfs {
namespace {

std::string Value(std::string_view body, const Variables& variables) {
  size_t mark = body.find(":-");
  auto known = variables.find(body.substr(0, mark));
  if (known != variables.end()) return known->second;
  return mark == std::string_view::npos ? "" : std::string(body.substr(mark + 2));
}

}  // namespace

std::string Expand(const std::string& target, const Variables& variables) {
  std::string expanded;
  for (size_t at = 0;;) {
    size_t start = target.find("$(", at);
    size_t end = start == std::string::npos ? start : target.find(')', start);
    if (end == std::string::npos) return expanded.append(target, at);
    expanded.append(target, at, start - at);
    expanded += Value(std::string_view(target).substr(start + 2, end - start - 2), variables);
    at = end + 1;
  }
}

}  // namespace thinlayer::cvmfs
