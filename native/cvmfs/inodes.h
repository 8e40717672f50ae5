// Inodes that the kernel knows: numbers, and which path each one stands for.
#ifndef THINLAYER_CVMFS_INODES_H_
#define THINLAYER_CVMFS_INODES_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "entry.h"

namespace thinlayer::cvmfs {

constexpr uint64_t kRootInode = 1;

// A number is made of an entry's identity, so a path keeps it through revisions, and when the kernel forgot it.
class Inodes {
 public:
  Inodes();

  // The number of an entry, unless another one has it.
  static uint64_t Wanted(const PathHash& identity);
  // The number of an entry in a listing, which the kernel will not hold a reference to.
  uint64_t NumberOf(const PathHash& identity);
  // The same, and the kernel holds one reference more.
  uint64_t Refer(uint64_t parent, const Entry& entry);
  void Forget(uint64_t number, uint64_t references);

  // Fault{ESTALE} if the kernel should not know the number.
  std::string PathOf(uint64_t number);
  uint64_t ParentOf(uint64_t number);  // of the root: itself

  // As long as the kernel knows the inode, which it may have open: what it was before its path showed something else.
  void Retain(const EntryPtr& entry);
  EntryPtr Retained(uint64_t number);
  PathHash IdentityOf(uint64_t number);
  bool Is(uint64_t number, const PathHash& identity);

  struct Known {
    uint64_t number;
    std::string path;
  };
  // Inodes with children that the kernel knows, or may know not to exist.
  std::vector<Known> Directories();
  struct Child {
    uint64_t number;
    std::string name;
    PathHash identity;
    bool directory;
  };
  // What the kernel knows in each directory, by the directory's number.
  std::unordered_map<uint64_t, std::vector<Child>> Children();
  // The numbers of all that are no directories.
  std::vector<uint64_t> Others();
  size_t size();

 private:
  // Hundreds of thousands may be known: what few have is kept beside them.
  struct Node {
    PathHash identity;
    Node* parent = nullptr;
    std::string name;
    uint64_t number = 0;
    uint64_t references = 0;
    uint32_t children = 0;
    bool directory = false;
  };
  Node& Get(uint64_t number);
  uint64_t Place(const PathHash& identity) const;
  void Adopt(Node& node, Node& parent, const std::string& name);
  void Drop(Node* node);
  static std::string Path(const Node* node);

  std::mutex mutex_;
  std::unordered_map<uint64_t, Node> nodes_;
  std::unordered_map<uint64_t, EntryPtr> retained_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_INODES_H_
