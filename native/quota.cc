// Project quotas of ext4 and xfs, call by call; the order of calls is src/host/quota.ts's.
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>

#include "addon.h"
#include "call.h"
#include "fd.h"

namespace thinlayer {
namespace {

// xfs' command; ext4 answers it too.
constexpr int kSetLimit = QCMD(Q_XSETQLIM, PRJQUOTA);
constexpr uint64_t kBlock = 512;

Fd OpenDirectory(const std::string& path) {
  Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory) Fail("open", path);
  return directory;
}

fsxattr GetAttributes(const Fd& directory, const std::string& path) {
  fsxattr attributes{};
  if (ioctl(directory.get(), FS_IOC_FSGETXATTR, &attributes) != 0) Fail("ioctl FS_IOC_FSGETXATTR", path);
  return attributes;
}

uint32_t ProjectId(const std::string& path) { return GetAttributes(OpenDirectory(path), path).fsx_projid; }

void SetProjectId(const std::string& path, uint32_t id) {
  Fd directory = OpenDirectory(path);
  fsxattr attributes = GetAttributes(directory, path);
  attributes.fsx_projid = id;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl(directory.get(), FS_IOC_FSSETXATTR, &attributes) != 0) Fail("ioctl FS_IOC_FSSETXATTR", path);
}

fs_disk_quota LimitOf(uint32_t id, uint64_t bytes) {
  fs_disk_quota limit{};
  limit.d_version = FS_DQUOT_VERSION;
  limit.d_id = id;
  limit.d_flags = FS_PROJ_QUOTA;
  limit.d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT;
  limit.d_blk_hardlimit = limit.d_blk_softlimit = (bytes + kBlock - 1) / kBlock;
  return limit;
}

void LimitProject(const std::string& path, uint32_t id, uint64_t bytes) {
  Fd directory = OpenDirectory(path);
  fs_disk_quota limit = LimitOf(id, bytes);
  if (syscall(SYS_quotactl_fd, directory.get(), kSetLimit, id, &limit) != 0) Fail("quotactl_fd", path);
}

void LimitProjectOnDevice(const std::string& device, uint32_t id, uint64_t bytes) {
  fs_disk_quota limit = LimitOf(id, bytes);
  if (syscall(SYS_quotactl, kSetLimit, device.c_str(), id, &limit) != 0) Fail("quotactl", device);
}

void MakeBackingDevice(const std::string& directory, const std::string& path) {
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) Fail("stat", directory);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) Fail("unlink", path);
  if (mknod(path.c_str(), S_IFBLK | 0600, info.st_dev) != 0) Fail("mknod", path);
}

uint32_t IdAt(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Uint32Value(); }

uint64_t BytesAt(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Int64Value(); }

Napi::Value ProjectIdJs(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kFile,
                std::make_unique<FunctionJob<uint32_t>>(
                    [path = StringAt(info, 0)] { return ProjectId(path); },
                    [](Napi::Env env, uint32_t& id) { return Napi::Number::New(env, id); }));
}

Napi::Value SetProjectIdJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kFile, [path = StringAt(info, 0), id = IdAt(info, 1)] { SetProjectId(path, id); });
}

Napi::Value LimitProjectJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kFile, [path = StringAt(info, 0), id = IdAt(info, 1), bytes = BytesAt(info, 2)] {
    LimitProject(path, id, bytes);
  });
}

Napi::Value LimitProjectOnDeviceJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kFile, [device = StringAt(info, 0), id = IdAt(info, 1), bytes = BytesAt(info, 2)] {
    LimitProjectOnDevice(device, id, bytes);
  });
}

Napi::Value MakeBackingDeviceJs(const Napi::CallbackInfo& info) {
  return SubmitCall(info.Env(), Lane::kFile, [directory = StringAt(info, 0), path = StringAt(info, 1)] {
    MakeBackingDevice(directory, path);
  });
}

}  // namespace

void RegisterQuota(Napi::Env env, Napi::Object exports) {
  exports.Set("projectId", Napi::Function::New(env, ProjectIdJs, "projectId"));
  exports.Set("setProjectId", Napi::Function::New(env, SetProjectIdJs, "setProjectId"));
  exports.Set("limitProject", Napi::Function::New(env, LimitProjectJs, "limitProject"));
  exports.Set("limitProjectOnDevice", Napi::Function::New(env, LimitProjectOnDeviceJs, "limitProjectOnDevice"));
  exports.Set("makeBackingDevice", Napi::Function::New(env, MakeBackingDeviceJs, "makeBackingDevice"));
}

}  // namespace thinlayer
