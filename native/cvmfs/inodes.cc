#include "inodes.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

// overlayfs numbers the files of several file systems by bits of its own above an inode's: leave it some.
constexpr uint64_t kNumberMask = (uint64_t{1} << 48) - 1;

}  // namespace

Inodes::Inodes() {
  Node& root = nodes_[kRootInode];
  root.number = kRootInode;
  root.references = 1;
  root.directory = true;
}

uint64_t Inodes::Wanted(const PathHash& identity) { return static_cast<uint64_t>(identity.first) & kNumberMask; }

// Where two identities want one number, the second takes the next that is free, as long as both are known.
uint64_t Inodes::Place(const PathHash& identity) const {
  uint64_t number = Wanted(identity);
  for (;; number = (number + 1) & kNumberMask) {
    if (number <= kRootInode) continue;
    auto taken = nodes_.find(number);
    if (taken == nodes_.end() || taken->second.identity == identity) return number;
  }
}

uint64_t Inodes::NumberOf(const PathHash& identity) {
  std::lock_guard<std::mutex> lock(mutex_);
  return Place(identity);
}

uint64_t Inodes::Refer(uint64_t parent, const Entry& entry) {
  std::lock_guard<std::mutex> lock(mutex_);
  Node& above = Get(parent);
  uint64_t number = Place(entry.identity);
  auto [place, made] = nodes_.try_emplace(number);
  Node& node = place->second;
  if (made) {
    node.identity = entry.identity;
    node.number = number;
    node.directory = S_ISDIR(entry.mode);
  }
  Adopt(node, above, entry.name);
  ++node.references;
  return number;
}

// A hard link has several names: the last one asked for is as good as any. A directory has one: a second could only be
// made with colliding hashes, to tie the tree into a loop.
void Inodes::Adopt(Node& node, Node& parent, const std::string& name) {
  if (node.parent == &parent && node.name == name) return;
  if (node.parent && node.directory) throw Fault{EIO};
  Node* former = node.parent;
  node.parent = &parent;
  node.name = name;
  ++parent.children;
  if (!former) return;
  --former->children;
  Drop(former);
}

void Inodes::Forget(uint64_t number, uint64_t references) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = nodes_.find(number);
  if (found == nodes_.end() || number == kRootInode) return;
  Node* node = &found->second;
  node->references -= std::min(node->references, references);
  Drop(node);
}

void Inodes::Drop(Node* node) {
  while (node && node->references == 0 && node->children == 0 && node->number != kRootInode) {
    Node* parent = node->parent;
    retained_.erase(node->number);
    nodes_.erase(node->number);
    if (parent) --parent->children;
    node = parent;
  }
}

Inodes::Node& Inodes::Get(uint64_t number) {
  auto found = nodes_.find(number);
  if (found == nodes_.end()) throw Fault{ESTALE};
  return found->second;
}

std::string Inodes::Path(const Node* node) {
  std::vector<const Node*> parts;
  size_t length = 0;
  for (; node->parent; node = node->parent) parts.push_back(node), length += node->name.size() + 1;
  std::string path;
  path.reserve(length);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) path.append("/").append((*part)->name);
  return path;
}

uint64_t Inodes::ParentOf(uint64_t number) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Node* parent = Get(number).parent;
  return parent ? parent->number : kRootInode;
}

std::string Inodes::PathOf(uint64_t number) {
  std::lock_guard<std::mutex> lock(mutex_);
  return Path(&Get(number));
}

void Inodes::Retain(const EntryPtr& entry) {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t number = Place(entry->identity);
  if (nodes_.count(number) != 0) retained_[number] = entry;
}

EntryPtr Inodes::Retained(uint64_t number) {
  std::lock_guard<std::mutex> lock(mutex_);
  Get(number);
  auto known = retained_.find(number);
  return known == retained_.end() ? nullptr : known->second;
}

PathHash Inodes::IdentityOf(uint64_t number) {
  std::lock_guard<std::mutex> lock(mutex_);
  return Get(number).identity;
}

bool Inodes::Is(uint64_t number, const PathHash& identity) {
  if (number == kRootInode) return true;
  std::lock_guard<std::mutex> lock(mutex_);
  return Get(number).identity == identity;
}

std::vector<Inodes::Known> Inodes::Directories() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Known> directories;
  for (const auto& [number, node] : nodes_) {
    if (node.directory && node.references > 0) directories.push_back({number, Path(&node)});
  }
  return directories;
}

std::unordered_map<uint64_t, std::vector<Inodes::Child>> Inodes::Children() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::unordered_map<uint64_t, std::vector<Child>> children;
  for (const auto& [number, node] : nodes_) {
    if (node.parent) children[node.parent->number].push_back({number, node.name, node.identity, node.directory});
  }
  return children;
}

std::vector<uint64_t> Inodes::Others() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<uint64_t> others;
  for (const auto& [number, node] : nodes_) {
    if (!node.directory && node.references > 0) others.push_back(number);
  }
  return others;
}

size_t Inodes::size() {
  std::lock_guard<std::mutex> lock(mutex_);
  return nodes_.size();
}

}  // namespace thinlayer::cvmfs
