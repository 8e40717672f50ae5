// How work on a request ends early.
#ifndef THINLAYER_CVMFS_FAULT_H_
#define THINLAYER_CVMFS_FAULT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace thinlayer::cvmfs {

// The request is answered with this errno.
struct Fault {
  int number;
  // Of the machine, out of descriptors, say: the object itself may be as it should.
  bool of_machine = false;
};

// An object that is not in the cache, or not as it should be: the request is parked until it is, and then run again from its beginning.
struct Missing {
  std::string object;  // path below the cache; empty: no root catalog was given yet
  bool compressed = true;
  uint64_t size = 0;   // uncompressed, as the catalog has it
  std::string path;    // in the repository
  bool external = false;
  uint64_t offset = 0;  // of a chunk, in its file
  std::vector<Missing> others = {};  // which the request will lack next
  bool damaged = false;  // it is in the cache, and cannot be read as what it should be
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_FAULT_H_
