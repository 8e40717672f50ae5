// The contents of files that are being read.
#ifndef THINLAYER_CVMFS_CONTENTS_H_
#define THINLAYER_CVMFS_CONTENTS_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "entry.h"
#include "fault.h"
#include "objects.h"
#include "recent.h"

namespace thinlayer::cvmfs {

// A part of a cached object.
struct Piece {
  ObjectFile file;
  uint64_t offset;
  uint64_t size;
};

// What to ask for to have a file of one object.
Missing MissingWhole(const Entry& entry, const std::string& path);

// One file. Opens only those objects that a read touches.
class Content {
 public:
  Content(EntryPtr entry, std::string path) : entry_(std::move(entry)), path_(std::move(path)) {}

  // Where the bytes are, from `offset` up to `size` of them: fewer at the end of the file. Throws Missing for all
  // objects that are not in the cache.
  std::vector<Piece> Find(Objects& objects, uint64_t offset, uint64_t size);
  // For a read that is about to be made, if the file is being read on end: the chunks of the next 8 to 16 MiB to have at
  // hand, none of them twice.
  std::vector<Missing> Ahead(uint64_t offset, uint64_t size);

 private:
  std::vector<Piece> FindInChunks(Objects& objects, uint64_t offset, uint64_t end);
  // As Objects::Open.
  ObjectFile Open(Objects& objects, size_t index, Missing& object);

  // How many bytes were read on end, with these; 0 for what was read before.
  uint64_t ReadOn(uint64_t offset, uint64_t end);

  const EntryPtr entry_;
  const std::string path_;

  // The object last read, so that reading on does not open it each time.
  std::mutex mutex_;
  size_t index_ = 0;
  ObjectFile last_;

  uint64_t run_ = 0;      // bytes read on end
  uint64_t read_to_ = 0;  // where they end
  uint64_t told_ = 0;     // chunks up to here were asked for
};

using ContentPtr = std::shared_ptr<Content>;

// By identity: it stands for a content, whatever a path shows in the next revision. Each holds a descriptor.
using Contents = Recent<PathHash, ContentPtr, PathHashHasher>;
constexpr size_t kMaxContents = 256;

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_CONTENTS_H_
