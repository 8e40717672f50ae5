#include "contents.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "fault.h"
#include "misses.h"

namespace thinlayer::cvmfs {

std::vector<Piece> Content::Find(Objects& objects, uint64_t offset, uint64_t size) {
  uint64_t start = std::min(offset, entry_->size);
  uint64_t end = start + std::min(size, entry_->size - start);
  if (start == end) return {};
  if (entry_->Has(kFlagChunked)) return FindInChunks(objects, start, end);
  return {{OpenWhole(objects), start, end - start}};
}

std::vector<Piece> Content::FindInChunks(Objects& objects, uint64_t offset, uint64_t end) {
  const std::vector<Chunk>& chunks = entry_->chunks;
  auto after = [](uint64_t at, const Chunk& chunk) { return at < chunk.offset; };
  size_t index = std::upper_bound(chunks.begin(), chunks.end(), offset, after) - chunks.begin() - 1;
  std::vector<Piece> pieces;
  for (; offset < end; ++index) {
    const Chunk& chunk = chunks[index];
    uint64_t stop = std::min(end, chunk.offset + chunk.size);
    pieces.push_back({OpenChunk(objects, index), offset - chunk.offset, stop - offset});
    offset = stop;
  }
  return pieces;
}

ObjectFile Content::OpenWhole(Objects& objects) {
  if (entry_->hash.empty()) throw Fault{EIO};
  return Open(objects, 0, {0, entry_->size, ObjectPath(HashText(entry_->hash, entry_->Algorithm()), "")});
}

ObjectFile Content::OpenChunk(Objects& objects, size_t index) {
  return Open(objects, index, entry_->chunks[index]);
}

ObjectFile Content::Open(Objects& objects, size_t index, const Chunk& chunk) {
  std::string cached = CachedName(chunk.object, entry_->IsCompressed());
  std::lock_guard<std::mutex> lock(mutex_);
  if (last_ && index_ == index) {
    objects.NoteUsed(cached);
    return last_;
  }
  ObjectFile opened = objects.Open(cached, chunk.size);
  if (!opened) {
    throw Missing{cached, entry_->IsCompressed(), chunk.size, path_, entry_->Has(kFlagExternal), chunk.offset};
  }
  index_ = index;
  return last_ = std::move(opened);
}

}  // namespace thinlayer::cvmfs
