// Contents: an open file reads cached objects, and asks only for those that a read touches.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

struct OpenFile : Handles::Handle {
  EntryPtr entry;
  std::string path;
  ObjectFile whole;  // null for a chunked file, and for an empty one

  // The chunk last read, so that reading on does not open it each time.
  std::mutex mutex;
  size_t chunk = 0;
  ObjectFile chunk_file;
};

ObjectFile OpenObject(Repository& repository, const OpenFile& file, const std::string& object, uint64_t size) {
  const Entry& entry = *file.entry;
  std::string cached = CachedName(object, entry.IsCompressed());
  if (ObjectFile opened = repository.objects.Open(cached, size)) return opened;
  throw Missing{cached, entry.IsCompressed(), size, file.path, entry.Has(kFlagExternal)};
}

ObjectFile OpenWhole(Repository& repository, const OpenFile& file) {
  const Entry& entry = *file.entry;
  if (entry.size == 0 || entry.Has(kFlagChunked)) return nullptr;
  if (entry.hash.empty()) throw Fault{EIO};
  return OpenObject(repository, file, ObjectPath(HashText(entry.hash, entry.Algorithm()), ""), entry.size);
}

ObjectFile OpenChunk(Repository& repository, OpenFile& file, size_t index) {
  {
    std::lock_guard<std::mutex> lock(file.mutex);
    if (file.chunk_file && file.chunk == index) return file.chunk_file;
  }
  const Chunk& chunk = file.entry->chunks[index];
  ObjectFile opened = OpenObject(repository, file, chunk.object, chunk.size);
  std::lock_guard<std::mutex> lock(file.mutex);
  file.chunk = index;
  file.chunk_file = opened;
  return opened;
}

void Open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  Serve(request, [inode, file = *info](fuse_req_t r, Repository& repository) mutable {
    if ((file.flags & O_ACCMODE) != O_RDONLY) throw Fault{EROFS};
    CatalogTree::Use tree = repository.UseTree();
    auto opened = std::make_shared<OpenFile>();
    opened->entry = repository.EntryOf(*tree.tree(), inode);
    if (!S_ISREG(opened->entry->mode)) throw Fault{EIO};
    opened->path = repository.inodes.PathOf(inode);
    opened->whole = OpenWhole(repository, *opened);
    repository.counters.opens++;
    file.keep_cache = 1;
    file.noflush = 1;
    file.direct_io = opened->entry->Has(kFlagDirectIo);
    repository.inodes.NoteOpen(inode, opened->entry);
    file.fh = repository.handles.Keep(std::move(opened));
    if (fuse_reply_open(r, &file) == 0) return;
    repository.handles.Drop(file.fh);
    repository.inodes.NoteRelease(inode);
  });
}

// Where one read finds its bytes. Holds the files open until the reply has been made.
class Pieces {
 public:
  void Add(const ObjectFile& file, uint64_t offset, uint64_t size) {
    files_.push_back(file);
    fuse_buf piece = {};
    piece.flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
    piece.fd = file->get();
    piece.pos = static_cast<off_t>(offset);
    piece.size = size;
    pieces_.push_back(piece);
  }

  void Reply(fuse_req_t request) {
    if (pieces_.empty()) {
      fuse_reply_buf(request, nullptr, 0);
      return;
    }
    // fuse_bufvec ends with an array of one.
    std::vector<char> memory(sizeof(fuse_bufvec) + (pieces_.size() - 1) * sizeof(fuse_buf));
    auto vector = new (memory.data()) fuse_bufvec{};
    vector->count = pieces_.size();
    std::copy(pieces_.begin(), pieces_.end(), vector->buf);
    fuse_reply_data(request, vector, FUSE_BUF_SPLICE_MOVE);
  }

 private:
  std::vector<ObjectFile> files_;
  std::vector<fuse_buf> pieces_;
};

void AddChunks(Pieces& pieces, Repository& repository, OpenFile& file, uint64_t offset, uint64_t end) {
  const std::vector<Chunk>& chunks = file.entry->chunks;
  auto after = [](uint64_t at, const Chunk& chunk) { return at < chunk.offset; };
  size_t index = std::upper_bound(chunks.begin(), chunks.end(), offset, after) - chunks.begin() - 1;
  for (; offset < end; ++index) {
    const Chunk& chunk = chunks[index];
    uint64_t stop = std::min(end, chunk.offset + chunk.size);
    pieces.Add(OpenChunk(repository, file, index), offset - chunk.offset, stop - offset);
    offset = stop;
  }
}

void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
  Serve(request, [size, offset, handle = info->fh](fuse_req_t r, Repository& repository) {
    auto file = repository.handles.Get<OpenFile>(handle);
    uint64_t start = std::min(static_cast<uint64_t>(offset), file->entry->size);
    uint64_t end = start + std::min<uint64_t>(size, file->entry->size - start);
    Pieces pieces;
    if (start < end) {
      if (file->whole) pieces.Add(file->whole, start, end - start);
      else AddChunks(pieces, repository, *file, start, end);
    }
    repository.counters.reads++;
    repository.counters.bytes_read += end - start;
    pieces.Reply(r);
  });
}

void Release(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  RepositoryOf(request).handles.Drop(info->fh);
  RepositoryOf(request).inodes.NoteRelease(inode);
  fuse_reply_err(request, 0);
}

}  // namespace

void AddFileOperations(fuse_lowlevel_ops& operations) {
  operations.open = Open;
  operations.read = Read;
  operations.release = Release;
}

}  // namespace thinlayer::cvmfs
