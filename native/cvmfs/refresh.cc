#include "refresh.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace thinlayer::cvmfs {
namespace {

// libfuse 3.16 took the flags, of which there was one, from the call.
int ExpireEntry(fuse_session* session, uint64_t directory, const std::string& name) {
#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 16)
  return fuse_lowlevel_notify_expire_entry(session, directory, name.data(), name.size(), FUSE_LL_EXPIRE_ONLY);
#else
  return fuse_lowlevel_notify_expire_entry(session, directory, name.data(), name.size());
#endif
}

using Listing = std::vector<EntryPtr>;

class Invalidation {
 public:
  Invalidation(Repository& repository, fuse_session* session, CatalogTree& before, CatalogTree& after)
      : repository_(repository), session_(session), before_(before), after_(after) {}

  void Run() {
    EntryPtr before = before_.Find(""), after = after_.Find("");
    if (!before || !after || !before->LooksLike(*after)) StaleAttributes(kRootInode);
    for (const Inodes::Known& directory : repository_.inodes.Directories()) Compare(directory);
  }

 private:
  void Compare(const Inodes::Known& directory) {
    auto before = Listed(before_, directory.path, false);
    if (!before) return;  // never listed nor looked into: its catalog is not even here
    if (IsSame(directory.path)) return;
    auto after = Listed(after_, directory.path, true);
    CompareListings(directory.number, *before, after.value_or(Listing()));
  }

  bool IsSame(const std::string& path) {
    try {
      auto before = before_.CatalogOf(path), after = after_.CatalogOf(path);
      return before->object() == after->object() && IsCutOffAlike(before->mountpoint());
    } catch (const Missing&) {
      return false;
    } catch (const Fault&) {
      return false;
    }
  }

  // Whether a catalog's whiteouts are shown may depend on those around it.
  bool IsCutOffAlike(const std::string& mountpoint) {
    return repository_.IsCutOff(before_, mountpoint) == repository_.IsCutOff(after_, mountpoint);
  }

  // Nothing if its catalog cannot be had.
  std::optional<Listing> Listed(CatalogTree& tree, const std::string& path, bool fetch) {
    for (;;) {
      try {
        Listing listing = repository_.List(tree, path);
        std::sort(listing.begin(), listing.end(), [](auto& a, auto& b) { return a->name < b->name; });
        return listing;
      } catch (const Missing& missing) {
        if (!fetch || !Fetch(missing)) return std::nullopt;
      } catch (const Fault&) {
        return std::nullopt;
      }
    }
  }

  // Once: a catalog that cannot be had may take its time to fail, may have many directories, and somebody waits for the end.
  bool Fetch(const Missing& missing) {
    if (failed_.count(missing.object) != 0) return false;
    try {
      repository_.misses.Wait(missing);
      return missing.object != std::exchange(fetched_, missing.object);
    } catch (const Fault&) {
      failed_.insert(missing.object);
      return false;
    }
  }

  void CompareListings(uint64_t directory, const Listing& before, const Listing& after) {
    // Numbers and types are in the kernel's cached listing as well as names.
    bool listing_changed = false;
    auto old = before.begin(), now = after.begin();
    while (old != before.end() || now != after.end()) {
      int order = old == before.end() ? 1 : now == after.end() ? -1 : (*old)->name.compare((*now)->name);
      if (order != 0) {
        listing_changed = true;
        if (order < 0) repository_.inodes.Retain(*old);
        StaleName(directory, order < 0 ? **old++ : **now++);
        continue;
      }
      if ((*old)->identity != (*now)->identity) {
        listing_changed = true;
        repository_.inodes.Retain(*old);
      }
      if (!(*old)->LooksLike(**now)) StaleEntry(directory, **old, **now);
      ++old, ++now;
    }
    if (listing_changed) fuse_lowlevel_notify_inval_inode(session_, directory, 0, 0);
  }

  void StaleEntry(uint64_t directory, const Entry& before, const Entry& after) {
    StaleName(directory, before);
    if (before.identity == after.identity) StaleAttributes(repository_.inodes.NumberOf(after.identity));
  }

  // What fails here is not known to the kernel. Expired, not dropped: what is mounted below a name stays mounted, and
  // the next look-up decides whether the name still leads to the same inode.
  void StaleName(uint64_t directory, const Entry& entry) {
    const std::string& name = entry.name;
    int result = ExpireEntry(session_, directory, name);
    if (result == -ENOSYS) fuse_lowlevel_notify_inval_entry(session_, directory, name.data(), name.size());
  }

  void StaleAttributes(uint64_t inode) { fuse_lowlevel_notify_inval_inode(session_, inode, -1, 0); }

  Repository& repository_;
  fuse_session* session_;
  CatalogTree& before_;
  CatalogTree& after_;
  std::string fetched_;
  std::set<std::string> failed_;
};

}  // namespace

// An answer out of the old tree must not reach the kernel after it was told what is stale: hence the wait.
void Refresh(Repository& repository, fuse_session* session, const std::string& root, uint64_t revision) {
  std::shared_ptr<CatalogTree> before = repository.TreeOrNull();
  auto after = std::make_shared<CatalogTree>(repository.connections, root, revision, before.get());
  repository.SetTree(after);
  if (!before) return repository.misses.CompleteRoot();
  before->WaitUntilUnused();
  Invalidation(repository, session, *before, *after).Run();
}

void ForgetContents(Repository& repository, fuse_session* session) {
  for (uint64_t inode : repository.inodes.Others()) fuse_lowlevel_notify_inval_inode(session, inode, 0, 0);
}

}  // namespace thinlayer::cvmfs
