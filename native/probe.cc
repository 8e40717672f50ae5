// What can only be asked of the kernel directly; the probes themselves are in src/host/probe.ts.
#include <dirent.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "addon.h"
#include "call.h"

namespace thinlayer {
namespace {

// overlayfs needs the types of directory entries; xfs made with ftype=0, for one, does not keep them.
class DTypeJob : public Job {
 public:
  explicit DTypeJob(std::string directory) : directory_(std::move(directory)) {}

  void Run() override {
    std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory_.c_str()), closedir);
    if (!stream) Fail("opendir", directory_);
    errno = 0;
    while (dirent* entry = readdir(stream.get())) {
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      known_ = known_ && entry->d_type != DT_UNKNOWN;
    }
    if (errno != 0) Fail("readdir", directory_);
  }

  Napi::Value Result(Napi::Env env) override { return Napi::Boolean::New(env, known_); }

 private:
  const std::string directory_;
  bool known_ = true;
};

Napi::Value SupportsDType(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kFile, std::make_unique<DTypeJob>(StringAt(info, 0)));
}

}  // namespace

void RegisterProbe(Napi::Env env, Napi::Object exports) {
  exports.Set("supportsDType", Napi::Function::New(env, SupportsDType, "supportsDType"));
}

}  // namespace thinlayer
