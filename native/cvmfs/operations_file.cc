// Contents: an open file reads cached objects, and asks only for those that a read touches.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "operations.h"

namespace thinlayer::cvmfs {
namespace {

// Nothing is kept for an open file: an inode is all that a read needs to know.
void Open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  if (RepositoryOf(request).kernel.opens_files_itself) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  info->keep_cache = 1;
  info->noflush = 1;
  fuse_reply_open(request, info);
}

// Nobody walks through a directory without having listed it.
void NoteOpened(Repository& repository, const std::shared_ptr<CatalogTree>& tree, uint64_t inode, const EntryPtr& entry,
                const std::string& path) {
  uint64_t directory = repository.inodes.ParentOf(inode);
  ListingPtr listing = repository.listings.Get(directory).value;
  if (listing && listing->tree.lock() == tree) repository.look_ahead.Opened(directory, listing, entry, path);
}

ContentPtr ContentOf(Repository& repository, uint64_t inode) {
  PathHash identity = repository.inodes.IdentityOf(inode);
  if (ContentPtr known = repository.contents.Get(identity).value) return known;
  CatalogTree::Use tree = repository.UseTree();
  EntryPtr entry = repository.EntryOf(*tree.tree(), inode);
  if (!S_ISREG(entry->mode)) throw Fault{EIO};
  repository.counters.opens++;
  std::string path = repository.inodes.PathOf(inode);
  auto content = std::make_shared<Content>(entry, path);
  repository.contents.Put(identity, content);
  NoteOpened(repository, tree.tree(), inode, entry, path);
  return content;
}

// `pieces` hold their files open until the reply has been made.
void Reply(fuse_req_t request, const std::vector<Piece>& pieces) {
  if (pieces.empty()) {
    fuse_reply_buf(request, nullptr, 0);
    return;
  }
  // fuse_bufvec ends with an array of one.
  std::vector<char> memory(sizeof(fuse_bufvec) + (pieces.size() - 1) * sizeof(fuse_buf));
  auto vector = new (memory.data()) fuse_bufvec{};
  vector->count = pieces.size();
  std::transform(pieces.begin(), pieces.end(), vector->buf, [](const Piece& piece) {
    fuse_buf buffer = {};
    buffer.flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
    buffer.fd = piece.file->get();
    buffer.pos = static_cast<off_t>(piece.offset);
    buffer.size = piece.size;
    return buffer;
  });
  fuse_reply_data(request, vector, FUSE_BUF_SPLICE_MOVE);
}

void Read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
  Serve(request, [inode, size, offset](fuse_req_t r, Repository& repository) {
    ContentPtr content = ContentOf(repository, inode);
    repository.look_ahead.Want(content->Ahead(static_cast<uint64_t>(offset), size));
    std::vector<Piece> pieces = content->Find(repository.objects, static_cast<uint64_t>(offset), size);
    repository.counters.reads++;
    for (const Piece& piece : pieces) repository.counters.bytes_read += piece.size;
    Reply(r, pieces);
  });
}

}  // namespace

void AddFileOperations(fuse_lowlevel_ops& operations) {
  operations.open = Open;
  operations.read = Read;
}

}  // namespace thinlayer::cvmfs
