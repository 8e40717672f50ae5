#include "opaque.h"

#include <fstream>

namespace thinlayer {

const std::string& OpaqueXattr() {
  static const std::string name = [] {
    std::ifstream map("/proc/self/uid_map");
    unsigned long inside = 1, outside = 1, count = 0;
    map >> inside >> outside >> count;
    const bool initial = inside == 0 && outside == 0 && count == 4294967295UL;
    return std::string(initial ? "trusted.overlay.opaque" : "user.overlay.opaque");
  }();
  return name;
}

}  // namespace thinlayer
