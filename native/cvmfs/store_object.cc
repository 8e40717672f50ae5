#include "store_object.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "../call.h"
#include "../fd.h"

namespace thinlayer::cvmfs {
namespace {

void Write(const std::string& path, int flags, std::string_view bytes) {
  Fd file(open(path.c_str(), flags | O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) Fail("open", path);
  while (!bytes.empty()) {
    ssize_t written = write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// The directories of prefixes are made when they are needed first: all at once they would cost a start 0.2 s.
void Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return;
  if (errno != ENOENT) Fail("rename", to);
  std::string directory = to.substr(0, to.rfind('/'));
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) Fail("mkdir", directory);
  if (rename(from.c_str(), to.c_str()) != 0) Fail("rename", to);
}

}  // namespace

Napi::Value StoreObject(const Napi::CallbackInfo& info) {
  auto bytes = info[1].As<Napi::Buffer<char>>();
  return SubmitCall(info.Env(), Lane::kFile,
                    [draft = StringAt(info, 0), content = std::string(bytes.Data(), bytes.Length()),
                     log = StringAt(info, 2), line = StringAt(info, 3), path = StringAt(info, 4)] {
                      Write(draft, O_EXCL, content);
                      Write(log, O_APPEND, line);
                      Rename(draft, path);
                    });
}

}  // namespace thinlayer::cvmfs
