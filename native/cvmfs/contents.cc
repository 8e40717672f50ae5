#include "contents.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

Missing MissingChunk(const Entry& entry, const Chunk& chunk, const std::string& path) {
  bool compressed = entry.IsCompressed();
  return {CachedName(chunk.object, compressed), compressed, chunk.size, path, entry.Has(kFlagExternal), chunk.offset};
}

}  // namespace

Missing MissingWhole(const Entry& entry, const std::string& path) {
  if (entry.hash.empty()) throw Fault{EIO};
  return MissingChunk(entry, {0, entry.size, ObjectPath(HashText(entry.hash, entry.Algorithm()), "")}, path);
}

std::vector<Piece> Content::Find(Objects& objects, uint64_t offset, uint64_t size) {
  uint64_t start = std::min(offset, entry_->size);
  uint64_t end = start + std::min(size, entry_->size - start);
  if (start == end) return {};
  if (entry_->Has(kFlagChunked)) return FindInChunks(objects, start, end);
  return {{Open(objects, 0, MissingWhole(*entry_, path_)), start, end - start}};
}

std::vector<Piece> Content::FindInChunks(Objects& objects, uint64_t offset, uint64_t end) {
  const std::vector<Chunk>& chunks = entry_->chunks;
  auto after = [](uint64_t at, const Chunk& chunk) { return at < chunk.offset; };
  size_t index = std::upper_bound(chunks.begin(), chunks.end(), offset, after) - chunks.begin() - 1;
  std::vector<Piece> pieces;
  for (; offset < end; ++index) {
    const Chunk& chunk = chunks[index];
    uint64_t stop = std::min(end, chunk.offset + chunk.size);
    pieces.push_back({Open(objects, index, MissingChunk(*entry_, chunk, path_)), offset - chunk.offset, stop - offset});
    offset = stop;
  }
  return pieces;
}

ObjectFile Content::Open(Objects& objects, size_t index, const Missing& object) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (last_ && index_ == index) {
    objects.NoteUsed(object.object);
    return last_;
  }
  ObjectFile opened = objects.Open(object.object, object.size);
  if (!opened) throw object;
  index_ = index;
  return last_ = std::move(opened);
}

}  // namespace thinlayer::cvmfs
