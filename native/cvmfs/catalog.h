// One catalog at its place in the mounted tree.
#ifndef THINLAYER_CVMFS_CATALOG_H_
#define THINLAYER_CVMFS_CATALOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connections.h"
#include "entry.h"
#include "fault.h"

namespace thinlayer::cvmfs {

// Where a catalog's object is, and how large.
struct CatalogReference {
  std::string object;
  uint64_t size = 0;
};

class Catalog {
 public:
  // Throws Missing if the object is not in the cache, or cannot be read there, as do all that read it later: who fetches
  // decides whether it was damaged, or is so on the server. `mountpoint` is the path in the mounted tree: "" for the root.
  static std::shared_ptr<Catalog> Load(Connections& connections, CatalogReference reference, std::string mountpoint);

  const std::string& object() const { return reference_.object; }
  const std::string& mountpoint() const { return mountpoint_; }

  // All paths are those of the mounted tree, at the mountpoint or below.
  EntryPtr Find(const std::string& path) const;  // null: there is none
  // With hidden entries; their order is not defined.
  std::vector<EntryPtr> List(const std::string& path) const;

  // Catalogs mounted in this one, by their paths.
  const std::unordered_map<std::string, CatalogReference>& nested() const { return nested_; }

  using Statistics = std::map<std::string, int64_t>;
  const Statistics& statistics() const { return statistics_; }

 private:
  Catalog(Connections& connections, CatalogReference reference, std::string mountpoint);
  template <typename Work>
  auto Reading(Work work) const;
  void Read(Connection& connection);
  Missing Lost(bool damaged) const;
  void ReadPrefix(Connection& connection);
  void ReadNested(Connection& connection, const char* table);
  void ReadStatistics(Connection& connection);
  std::string InnerPath(const std::string& path) const;
  EntryPtr Build(Connection& connection, Statement& row, const std::string& inner, const std::string& path) const;
  std::vector<Chunk> ReadChunks(Connection& connection, const PathHash& hash, const Entry& entry) const;
  PathHash Identity(const Entry& entry, const std::string& path) const;

  Connections& connections_;
  const CatalogReference reference_;
  const std::string mountpoint_;
  // What the mountpoint is called in the catalog's own paths: another one where an old root catalog is mounted below.
  std::string prefix_;
  std::unordered_map<std::string, CatalogReference> nested_;
  Statistics statistics_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_CATALOG_H_
