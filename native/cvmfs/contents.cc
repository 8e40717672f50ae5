#include "contents.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

// The kernel reads 128 KiB around each page of a program that is touched: a few such places may be neighbours.
constexpr uint64_t kReadOn = 1 << 20;
// The kernel's read-ahead comes in requests of 128 KiB, which threads of ours take up in any order.
constexpr uint64_t kDisorder = 256 * 1024;
// Most chunks are of 4 to 10 MiB: the next one comes while this one is read.
constexpr uint64_t kMinAhead = 8 << 20;
constexpr uint64_t kMaxAhead = 16 << 20;
// What was missing is read again when it is there.
constexpr uint64_t kBehind = kMaxAhead;

Missing MissingChunk(const Entry& entry, const Chunk& chunk, const std::string& path) {
  bool compressed = entry.IsCompressed();
  return {CachedName(chunk.object, compressed), compressed, chunk.size, path, entry.Has(kFlagExternal), chunk.offset};
}

// Of the chunk that has the byte at `offset`.
size_t IndexOf(const std::vector<Chunk>& chunks, uint64_t offset) {
  auto after = [](uint64_t at, const Chunk& chunk) { return at < chunk.offset; };
  return static_cast<size_t>(std::upper_bound(chunks.begin(), chunks.end(), offset, after) - chunks.begin()) - 1;
}

Missing AllOf(std::vector<Missing> missing) {
  Missing first = std::move(missing.front());
  missing.erase(missing.begin());
  first.others = std::move(missing);
  return first;
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
  Missing whole = MissingWhole(*entry_, path_);
  ObjectFile file = Open(objects, 0, whole);
  if (!file) throw whole;
  return {{std::move(file), start, end - start}};
}

std::vector<Piece> Content::FindInChunks(Objects& objects, uint64_t offset, uint64_t end) {
  const std::vector<Chunk>& chunks = entry_->chunks;
  std::vector<Piece> pieces;
  std::vector<Missing> missing;
  for (size_t index = IndexOf(chunks, offset); offset < end; ++index) {
    const Chunk& chunk = chunks[index];
    Missing object = MissingChunk(*entry_, chunk, path_);
    uint64_t stop = std::min(end, chunk.offset + chunk.size);
    pieces.push_back({Open(objects, index, object), offset - chunk.offset, stop - offset});
    if (!pieces.back().file) missing.push_back(std::move(object));
    offset = stop;
  }
  if (!missing.empty()) throw AllOf(std::move(missing));
  return pieces;
}

std::vector<Missing> Content::Ahead(uint64_t offset, uint64_t size) {
  if (!entry_->Has(kFlagChunked) || entry_->Has(kFlagExternal)) return {};
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t start = std::min(offset, entry_->size);
  uint64_t run = ReadOn(start, start + std::min(size, entry_->size - start));
  if (run < kReadOn) return {};
  std::vector<Missing> ahead;
  uint64_t end = std::min(read_to_ + std::clamp(run, kMinAhead, kMaxAhead), entry_->size);
  for (told_ = std::max(told_, read_to_); told_ < end;) {
    const Chunk& chunk = entry_->chunks[IndexOf(entry_->chunks, told_)];
    if (chunk.offset >= read_to_) ahead.push_back(MissingChunk(*entry_, chunk, path_));
    told_ = chunk.offset + chunk.size;
  }
  return ahead;
}

uint64_t Content::ReadOn(uint64_t offset, uint64_t end) {
  if (end <= read_to_ && end + kBehind > read_to_) return 0;
  bool goes_on = offset <= read_to_ + kDisorder && end > read_to_;
  if (!goes_on) run_ = told_ = 0;
  run_ += end - (goes_on ? read_to_ : offset);
  read_to_ = end;
  return run_;
}

ObjectFile Content::Open(Objects& objects, size_t index, Missing& object) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (last_ && index_ == index) {
    objects.NoteUsed(object.object);
    return last_;
  }
  ObjectFile opened = objects.Open(object);
  if (!opened) return nullptr;
  index_ = index;
  return last_ = std::move(opened);
}

}  // namespace thinlayer::cvmfs
