// `compareLayer`, `compareTrees`, `treeSize`: what changed between directory trees, and how much of it there is.
//
// The outcome is that of Docker's naive comparison (moby pkg/archive, ChangesDirs) of two merged trees. A layer needs
// no merged trees for that: all that can differ from its ancestors is in its own directory, and for each directory of
// it the ancestors' directories that show at the same path are kept at hand, uppermost first.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "addon.h"
#include "call.h"
#include "cancel.h"
#include "directory.h"
#include "worker.h"
#include "xattr.h"

namespace thinlayer {

namespace {

// Bytes of files; those with several names count once.
class SizeSum {
 public:
  void Add(const struct stat& s) {
    if (S_ISDIR(s.st_mode) || s.st_size == 0) return;
    if (s.st_nlink > 1 && !seen_.emplace(s.st_dev, s.st_ino).second) return;
    total_ += s.st_size;
  }
  double total() const { return total_; }

 private:
  std::set<std::pair<dev_t, ino_t>> seen_;
  double total_ = 0;
};

// Archives often have whole seconds only: then the rest is no difference.
bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && (a.tv_nsec == b.tv_nsec || a.tv_nsec == 0 || b.tv_nsec == 0);
}

// Size and time of a directory tell nothing (moby#9874, moby#11422).
bool StatDifferent(const struct stat& a, const struct stat& b) {
  if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid || a.st_rdev != b.st_rdev) return true;
  return !S_ISDIR(a.st_mode) && (!SameTime(a.st_mtim, b.st_mtim) || a.st_size != b.st_size);
}

// The directories of older layers at one path, uppermost first: together they are what was there before.
struct Olders {
  std::vector<Fd> layers;
  // The newer directory does not show what is only in these: it, or one above it, is opaque or complete by itself.
  bool hidden;
};

struct Older {
  struct stat stat;
  size_t layer;  // index in Olders::layers
};

class Comparison {
 public:
  // `overlay`: 0:0 devices and opaque directories have overlayfs's meaning, and the newer tree only adds to the older
  // ones. Otherwise the newer tree is complete: what it lacks was deleted.
  Comparison(bool overlay, CancelFlag cancel) : overlay_(overlay), cancel_(cancel) {}

  void Run(const std::string& newer, const std::vector<std::string>& olders) {
    Olders open{{}, !overlay_};
    for (const std::string& older : olders) open.layers.push_back(OpenRoot(older));
    const Fd root = OpenRoot(newer);
    Directory(root.get(), open);
    std::sort(changes_.begin(), changes_.end());
  }

  struct Change {
    std::string path;
    char kind;
    bool operator<(const Change& other) const { return path < other.path; }
  };
  const std::vector<Change>& changes() const { return changes_; }
  double size() const { return size_.total(); }

 private:
  void Directory(int newer, const Olders& olders);
  bool Entry(int newer, const std::string& name, const Olders& olders);
  void Existing(int newer, const std::string& name, const struct stat& now, const Olders& olders);
  void Below(int newer, const std::string& name, const struct stat& now, const std::optional<Older>& before,
             const Olders& olders);
  void Deleted(std::unordered_set<std::string> told, const Olders& olders);
  bool IsModified(int newer, const std::string& name, const struct stat& now, const Older& before,
                  const Olders& olders) const;
  std::optional<Older> Find(const std::string& name, const Olders& olders) const;
  std::vector<Fd> Descend(const std::string& name, const Olders& olders, size_t first) const;
  void Report(char kind) { changes_.push_back({path_, kind}); }

  const bool overlay_;
  const CancelFlag cancel_;
  std::string path_;
  size_t depth_ = 0;
  std::vector<Change> changes_;
  SizeSum size_;
};

void Comparison::Directory(int newer, const Olders& olders) {
  if (++depth_ > kMaxDepth) FailWith(ENAMETOOLONG, "openat", path_, "directories are nested too deeply");
  const size_t length = path_.size();
  std::unordered_set<std::string> told;
  for (const Name& name : List(newer, path_)) {
    cancel_.Check("compare");
    path_.append("/").append(name.text);
    if (Entry(newer, name.text, olders) && olders.hidden) told.insert(name.text);
    path_.resize(length);
  }
  if (olders.hidden) Deleted(std::move(told), olders);
  --depth_;
}

// False if there is no such entry, although its name was listed: the kernel lists whiteouts in directories of a merged
// tree that are in one layer only.
bool Comparison::Entry(int newer, const std::string& name, const Olders& olders) {
  struct stat now;
  if (!Stat(newer, name, path_, &now)) return false;
  if (!overlay_ || !IsWhiteout(now)) {
    Existing(newer, name, now, olders);
  } else if (Find(name, olders)) {
    Report('D');
  }
  return true;
}

void Comparison::Existing(int newer, const std::string& name, const struct stat& now, const Olders& olders) {
  const std::optional<Older> before = Find(name, olders);
  const size_t reported = changes_.size();
  if (!before) Report('A');
  if (before && IsModified(newer, name, now, *before, olders)) Report('C');
  const bool self = changes_.size() > reported;
  if (self) size_.Add(now);
  if (!S_ISDIR(now.st_mode)) return;
  const size_t inside = changes_.size();
  Below(newer, name, now, before, olders);
  // So that an archive of the changes has the permissions of all directories on the way to them.
  if (!self && changes_.size() > inside) Report('C');
}

void Comparison::Below(int newer, const std::string& name, const struct stat& now,
                       const std::optional<Older>& before, const Olders& olders) {
  const bool merges = before && S_ISDIR(before->stat.st_mode);
  if (merges && now.st_dev == before->stat.st_dev && now.st_ino == before->stat.st_ino) return;
  const Fd directory = OpenDirectory(newer, name, path_);
  if (!directory) return;
  Olders next{{}, olders.hidden || IsOpaque(directory.get())};
  if (merges) next.layers = Descend(name, olders, before->layer);
  Directory(directory.get(), next);
}

// Names of the older directories that are not among those `told` of already.
void Comparison::Deleted(std::unordered_set<std::string> told, const Olders& olders) {
  const size_t length = path_.size();
  for (const Fd& older : olders.layers) {
    for (const Name& name : List(older.get(), path_)) {
      cancel_.Check("compare");
      struct stat before;
      if (!told.insert(name.text).second) continue;
      path_.append("/").append(name.text);
      if (Stat(older.get(), name.text, path_, &before) && !(overlay_ && IsWhiteout(before))) Report('D');
      path_.resize(length);
    }
  }
}

bool Comparison::IsModified(int newer, const std::string& name, const struct stat& now, const Older& before,
                            const Olders& olders) const {
  return StatDifferent(now, before.stat) ||
         ReadCapability(newer, name) != ReadCapability(olders.layers[before.layer].get(), name);
}

std::optional<Older> Comparison::Find(const std::string& name, const Olders& olders) const {
  Older found;
  for (found.layer = 0; found.layer < olders.layers.size(); ++found.layer) {
    if (!Stat(olders.layers[found.layer].get(), name, path_, &found.stat)) continue;
    if (overlay_ && IsWhiteout(found.stat)) return std::nullopt;
    return found;
  }
  return std::nullopt;
}

// The older directories that show below `name`: down to an opaque one, or to something that is no directory.
std::vector<Fd> Comparison::Descend(const std::string& name, const Olders& olders, size_t first) const {
  std::vector<Fd> next;
  for (size_t i = first; i < olders.layers.size(); ++i) {
    const int parent = olders.layers[i].get();
    struct stat s;
    if (!Stat(parent, name, path_, &s)) continue;
    if (!S_ISDIR(s.st_mode)) break;
    Fd directory = OpenDirectory(parent, name, path_);
    if (!directory) break;
    next.push_back(std::move(directory));
    if (overlay_ && IsOpaque(next.back().get())) break;
  }
  return next;
}

void AddSizes(int directory, std::string& path, const CancelFlag& cancel, SizeSum& sum, size_t depth) {
  if (depth > kMaxDepth) FailWith(ENAMETOOLONG, "openat", path, "directories are nested too deeply");
  const size_t length = path.size();
  for (const Name& name : List(directory, path)) {
    cancel.Check("compare");
    path.append("/").append(name.text);
    struct stat s;
    bool is_directory = name.type == DT_DIR;
    if (!is_directory && Stat(directory, name.text, path, &s)) {
      is_directory = S_ISDIR(s.st_mode);
      sum.Add(s);
    }
    if (is_directory) {
      Fd child = OpenDirectory(directory, name.text, path);
      if (child) AddSizes(child.get(), path, cancel, sum, depth + 1);
    }
    path.resize(length);
  }
}

std::vector<std::string> Strings(const Napi::Value& value) {
  std::vector<std::string> result;
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return result;
}

class CompareJob : public CancellableJob {
 public:
  CompareJob(std::string newer, std::vector<std::string> olders, bool overlay, const Napi::Value& flag)
      : CancellableJob(flag),
        newer_(std::move(newer)),
        olders_(std::move(olders)),
        comparison_(overlay, cancel()) {}

  void Run() override {
    comparison_.Run(newer_, olders_);
    for (const Comparison::Change& change : comparison_.changes()) {
      text_ += change.kind;
      text_.append(change.path).append(1, '\0');
    }
  }

  // `changes`: for each one of A, C, D, the path, a NUL.
  Napi::Value Result(Napi::Env env) override {
    Napi::Object result = Napi::Object::New(env);
    result.Set("changes", Napi::Buffer<char>::Copy(env, text_.data(), text_.size()));
    result.Set("size", comparison_.size());
    return result;
  }

 private:
  const std::string newer_;
  const std::vector<std::string> olders_;
  Comparison comparison_;
  std::string text_;
};

class SizeJob : public CancellableJob {
 public:
  SizeJob(std::string root, const Napi::Value& flag) : CancellableJob(flag), root_(std::move(root)) {}

  void Run() override {
    std::string path = root_;
    Fd root = OpenRoot(root_);
    AddSizes(root.get(), path, cancel(), sum_, 1);
  }
  Napi::Value Result(Napi::Env env) override { return Napi::Number::New(env, sum_.total()); }

 private:
  const std::string root_;
  SizeSum sum_;
};

// compareLayer(diff, lowers, flag, remote), compareTrees(newer, [older] or [], flag, remote)
Napi::Value Compare(const Napi::CallbackInfo& info, bool overlay) {
  return Submit(info.Env(), TreeLaneAt(info, 3),
                std::make_unique<CompareJob>(info[0].As<Napi::String>().Utf8Value(), Strings(info[1]), overlay,
                                             info[2]));
}

Napi::Value CompareLayer(const Napi::CallbackInfo& info) { return Compare(info, true); }
Napi::Value CompareTrees(const Napi::CallbackInfo& info) { return Compare(info, false); }

Napi::Value TreeSize(const Napi::CallbackInfo& info) {
  return Submit(info.Env(), Lane::kFile,
                std::make_unique<SizeJob>(info[0].As<Napi::String>().Utf8Value(), info[1]));
}

}  // namespace

void RegisterTreeCompare(Napi::Env env, Napi::Object exports) {
  exports.Set("compareLayer", Napi::Function::New(env, CompareLayer, "compareLayer"));
  exports.Set("compareTrees", Napi::Function::New(env, CompareTrees, "compareTrees"));
  exports.Set("treeSize", Napi::Function::New(env, TreeSize, "treeSize"));
}

}  // namespace thinlayer
