#include "xattrs.h"

#include <cerrno>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

constexpr unsigned char kVersion = 1;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  unsigned char Byte() { return static_cast<unsigned char>(Take(1)[0]); }
  std::string_view Take(size_t count) {
    if (count > rest_.size()) throw Fault{EIO};
    std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

 private:
  std::string_view rest_;
};

}  // namespace

// Version, count, then for each: length of the name, length of the value, name, value.
Xattrs ParseXattrs(std::string_view blob) {
  Xattrs xattrs;
  if (blob.empty()) return xattrs;
  Reader reader(blob);
  if (reader.Byte() != kVersion) throw Fault{EIO};
  for (unsigned left = reader.Byte(); left > 0; --left) {
    unsigned name_length = reader.Byte();
    unsigned value_length = reader.Byte();
    std::string name(reader.Take(name_length));
    std::string_view value = reader.Take(value_length);
    if (name.empty() || name.find('\0') != std::string::npos) throw Fault{EIO};
    xattrs.emplace(std::move(name), value);
  }
  return xattrs;
}

}  // namespace thinlayer::cvmfs
