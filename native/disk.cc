// The changes that the store makes to a disk: many small ones in one job, since a hop to a thread and back costs more
// than most of them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "addon.h"
#include "call.h"
#include "cancel.h"
#include "fd.h"
#include "rooted.h"
#include "tree_delete.h"
#include "worker.h"

namespace thinlayer {
namespace {

struct Change {
  std::string kind;
  std::string path;
  // Target of a symlink, text of a file, new name of what is renamed.
  std::string value;
  mode_t mode = 0;
  bool sync = false;
  bool owned = false;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Undoes what was made of an entry that failed, keeping the errno of the failure.
[[noreturn]] void FailAndUndo(const char* syscall, const std::string& path, int (*undo)(const char*)) {
  int number = errno;
  undo(path.c_str());
  FailWith(number, syscall, path);
}

void MakeDirectory(const Change& change) {
  const char* path = change.path.c_str();
  if (mkdir(path, change.mode) != 0) Fail("mkdir", change.path);
  if (chmod(path, change.mode) != 0) FailAndUndo("chmod", change.path, rmdir);
  if (change.owned && lchown(path, change.uid, change.gid) != 0) FailAndUndo("chown", change.path, rmdir);
}

void WriteFile(const Change& change) {
  // O_NONBLOCK: a FIFO in the place of the file must not hold us until somebody reads.
  Fd file(open(change.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, change.mode));
  if (!file) Fail("open", change.path);
  struct stat status;
  if (fstat(file.get(), &status) != 0) Fail("fstat", change.path);
  // Not O_TRUNC: ext4 writes a file that was truncated out when it is closed, also one that was empty (auto_da_alloc).
  if (status.st_size > 0 && ftruncate(file.get(), 0) != 0) Fail("ftruncate", change.path);
  if ((status.st_mode & 07777) != change.mode && fchmod(file.get(), change.mode) != 0) Fail("chmod", change.path);
  std::string_view rest = change.value;
  while (!rest.empty()) {
    ssize_t written = write(file.get(), rest.data(), rest.size());
    if (written < 0 && errno != EINTR) Fail("write", change.path);
    if (written > 0) rest.remove_prefix(written);
  }
  if (change.sync && fsync(file.get()) != 0) Fail("fsync", change.path);
  if (close(file.release()) != 0) Fail("close", change.path);
}

void Remove(const char* syscall, int (*remove)(const char*), const std::string& path) {
  if (remove(path.c_str()) != 0 && errno != ENOENT) Fail(syscall, path);
}

void ExpectUnmounted(const std::string& path) {
  struct stat own, parent;
  if (lstat(path.c_str(), &own) != 0) return errno == ENOENT ? void() : Fail("lstat", path);
  std::string above = Split(path).parent;
  if (lstat(above.c_str(), &parent) != 0) Fail("lstat", above);
  if (own.st_dev != parent.st_dev) FailWith(EBUSY, "lstat", path, "it is mounted");
}

void ExpectEmpty(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(path.c_str()), closedir);
  if (!listing) Fail("opendir", path);
  errno = 0;
  while (const dirent* entry = readdir(listing.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") FailWith(ENOTEMPTY, "readdir", path);
  }
  if (errno != 0) Fail("readdir", path);
}

void Make(const Change& change) {
  const char* path = change.path.c_str();
  const char* value = change.value.c_str();
  if (change.kind == "mkdir") {
    MakeDirectory(change);
  } else if (change.kind == "symlink") {
    if (symlink(value, path) != 0) Fail("symlink", change.path);
  } else if (change.kind == "write") {
    WriteFile(change);
  } else if (change.kind == "rename") {
    if (rename(path, value) != 0) Fail("rename", change.path);
  } else if (change.kind == "expect unmounted") {
    ExpectUnmounted(change.path);
  } else if (change.kind == "expect empty") {
    ExpectEmpty(change.path);
  } else if (change.kind == "unlink") {
    Remove("unlink", unlink, change.path);
  } else if (change.kind == "rmdir") {
    Remove("rmdir", rmdir, change.path);
  } else {
    FailWith(EINVAL, change.kind.c_str(), change.path, "no such change");
  }
}

class Changes : public Job {
 public:
  explicit Changes(std::vector<Change> changes) : changes_(std::move(changes)) {}

  void Run() override {
    try {
      for (const Change& change : changes_) {
        Make(change);
        ++done_;
      }
    } catch (const SyscallError& error) {
      error_ = error;
    }
  }

  Napi::Value Result(Napi::Env env) override {
    if (!error_) return env.Undefined();
    Napi::Error error = ToJs(env, *error_);
    error.Set("done", Napi::Number::New(env, done_));
    throw error;
  }

 private:
  const std::vector<Change> changes_;
  size_t done_ = 0;
  std::optional<SyscallError> error_;
};

// The changes as one string, since reading many out of objects takes longer than most changes: src/host/disk.ts writes it.
class Reader {
 public:
  explicit Reader(std::string text) : text_(std::move(text)) {}

  std::vector<Change> Changes() {
    std::vector<Change> changes;
    while (at_ < text_.size()) changes.push_back(One());
    return changes;
  }

 private:
  Change One() {
    Change change;
    change.kind = Next();
    change.path = Next();
    change.value = Next();
    change.mode = Number();
    change.sync = Number() != 0;
    change.owned = Number() != 0;
    change.uid = Number();
    change.gid = Number();
    return change;
  }

  std::string Next() {
    std::string field(text_.c_str() + at_);
    at_ = std::min(at_ + field.size() + 1, text_.size());
    return field;
  }

  uint32_t Number() { return std::strtoul(Next().c_str(), nullptr, 10); }

  const std::string text_;
  size_t at_ = 0;
};

Napi::Value ChangeDiskJs(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kRecord, std::make_unique<Changes>(Reader(StringAt(info, 0)).Changes()));
}

class DeleteJob : public CancellableJob {
 public:
  DeleteJob(std::string path, const Napi::Value& flag) : CancellableJob(flag), path_(std::move(path)) {}
  void Run() override { DeleteTree(path_, cancel()); }

 private:
  const std::string path_;
};

Napi::Value DeleteTreeJs(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kRecord, std::make_unique<DeleteJob>(StringAt(info, 0), info[1]));
}

}  // namespace

void RegisterDisk(Napi::Env env, Napi::Object exports) {
  exports.Set("changeDisk", Napi::Function::New(env, ChangeDiskJs, "changeDisk"));
  exports.Set("deleteTree", Napi::Function::New(env, DeleteTreeJs, "deleteTree"));
}

}  // namespace thinlayer
