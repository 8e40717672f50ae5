#include "refresh.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

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
    EntryPtr before = IfHere([&] { return before_.Find(""); }).value_or(nullptr);
    EntryPtr after = Having([&] { return after_.Find(""); }).value_or(nullptr);
    if (!before || !after || !before->LooksLike(*after)) StaleAttributes(kRootInode);
    for (const Inodes::Known& directory : repository_.inodes.Directories()) Compare(directory);
  }

 private:
  void Compare(const Inodes::Known& directory) {
    auto catalog = LookedInto(directory.path);
    if (!catalog || IsSame(**catalog, directory.path)) return;
    auto after = Having([&] { return Listed(after_, directory.path); });
    auto before = IfHere([&] { return Listed(before_, directory.path); });
    if (before) CompareListings(directory.number, *before, after.value_or(Listing()));
    else StaleChildren(directory, after.value_or(Listing()));
    if (!before || !after) StaleListing(directory.number);
  }

  // Nothing if the kernel can know nothing of what is in there. A tree remembers each catalog that it was asked for, also
  // when its file is gone; what is the same in the next revision is handed on to that (IsSame), however long ago it was.
  std::optional<std::shared_ptr<const Catalog>> LookedInto(const std::string& path) {
    return IfHere([&] { return before_.CatalogOf(path); });
  }

  bool IsSame(const Catalog& before, const std::string& path) {
    auto after = Having([&] { return after_.CatalogOf(path); });
    return after && before.object() == (*after)->object() && IsCutOffAlike(before.mountpoint());
  }

  // Whether a catalog's whiteouts are shown may depend on those around it.
  bool IsCutOffAlike(const std::string& mountpoint) {
    auto before = IfHere([&] { return repository_.IsCutOffAround(before_, mountpoint); });
    return before && before == Having([&] { return repository_.IsCutOffAround(after_, mountpoint); });
  }

  Listing Listed(CatalogTree& tree, const std::string& path) {
    Listing listing = repository_.List(tree, path);
    std::sort(listing.begin(), listing.end(), [](auto& a, auto& b) { return a->name < b->name; });
    return listing;
  }

  // Nothing if it takes a catalog that is not in the cache.
  template <typename Work>
  auto IfHere(Work work) -> std::optional<decltype(work())> {
    try {
      return work();
    } catch (const Missing&) {
      return std::nullopt;
    } catch (const Fault&) {
      return std::nullopt;
    }
  }

  // Nothing if it takes a catalog that cannot be had.
  template <typename Work>
  auto Having(Work work) -> std::optional<decltype(work())> {
    for (;;) {
      try {
        return work();
      } catch (const Missing& missing) {
        if (!Fetch(missing)) return std::nullopt;
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
        StaleName(directory, (order < 0 ? *old++ : *now++)->name);
        continue;
      }
      if ((*old)->identity != (*now)->identity) {
        listing_changed = true;
        repository_.inodes.Retain(*old);
      }
      if (!(*old)->LooksLike(**now)) StaleEntry(directory, **old, **now);
      ++old, ++now;
    }
    if (listing_changed) StaleListing(directory);
  }

  // What the directory was is not here any more: all is stale that the kernel may know of it, also that there is no such
  // name. A hard link's other names, if they are gone, are believed until the kernel's time for them is over.
  void StaleChildren(const Inodes::Known& directory, const Listing& after) {
    for (const Inodes::Child& child : ChildrenOf(directory.number)) {
      if (!child.directory && !Has(after, child)) RetainFormer(directory.path + "/" + child.name);
      StaleName(directory.number, child.name);
      StaleAttributes(child.number);
    }
    for (const EntryPtr& entry : after) StaleName(directory.number, entry->name);
  }

  const std::vector<Inodes::Child>& ChildrenOf(uint64_t directory) {
    if (!children_) children_ = repository_.inodes.Children();
    return (*children_)[directory];
  }

  static bool Has(const Listing& listing, const Inodes::Child& child) {
    auto found = std::lower_bound(listing.begin(), listing.end(), child.name,
                                  [](const EntryPtr& entry, const std::string& name) { return entry->name < name; });
    return found != listing.end() && (*found)->name == child.name && (*found)->identity == child.identity;
  }

  // Somebody may have the file open: that is worth a fetch of its catalog, where the tree does not remember it.
  void RetainFormer(const std::string& path) {
    auto former = Having([&] { return repository_.Find(before_, path); });
    if (former && *former) repository_.inodes.Retain(*former);
  }

  void StaleEntry(uint64_t directory, const Entry& before, const Entry& after) {
    StaleName(directory, before.name);
    if (before.identity == after.identity) StaleAttributes(repository_.inodes.NumberOf(after.identity));
  }

  // What fails here is not known to the kernel. Expired, not dropped: what is mounted below a name stays mounted, and
  // the next look-up decides whether the name still leads to the same inode.
  void StaleName(uint64_t directory, const std::string& name) {
    int result = ExpireEntry(session_, directory, name);
    if (result == -ENOSYS) fuse_lowlevel_notify_inval_entry(session_, directory, name.data(), name.size());
  }

  void StaleListing(uint64_t directory) { fuse_lowlevel_notify_inval_inode(session_, directory, 0, 0); }

  void StaleAttributes(uint64_t inode) { fuse_lowlevel_notify_inval_inode(session_, inode, -1, 0); }

  Repository& repository_;
  fuse_session* session_;
  CatalogTree& before_;
  CatalogTree& after_;
  std::string fetched_;
  std::set<std::string> failed_;
  std::optional<std::unordered_map<uint64_t, std::vector<Inodes::Child>>> children_;  // gathered when first needed
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
