#include "connections.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

// A repository may have thousands of catalogs; each connection holds a descriptor and up to 300 KB.
constexpr size_t kMaxIdle = 48;

std::string Property(Database& database, const char* key) {
  Statement statement(database, std::string("SELECT value FROM properties WHERE key = '") + key + "'");
  return statement.Step() ? std::string(statement.Bytes(0)) : "";
}

Connection::Schema ReadSchema(Database& database) {
  // Written as a floating point number: older publishers left "2.5" as 2.499999.
  std::string text = Property(database, "schema");
  double version = 0;
  std::from_chars(text.data(), text.data() + text.size(), version);
  if (version < 2.39 || version > 2.51) throw Fault{EIO};
  std::string revision = Property(database, "schema_revision");
  Connection::Schema schema{0};
  std::from_chars(revision.data(), revision.data() + revision.size(), schema.revision);
  return schema;
}

std::string EntryColumns(const Connection::Schema& schema) {
  return std::string("SELECT md5path_1, md5path_2, hardlinks, size, mode, mtime, flags, uid, gid, name, symlink, hash, ") +
         (schema.HasNanoseconds() ? "mtimens, " : "0, ") + (schema.HasXattrs() ? "xattr" : "NULL") + " FROM catalog ";
}

}  // namespace

Connection::Connection(std::string name, uint64_t damages_before, std::unique_ptr<Database> opened)
    : object(std::move(name)),
      damages(damages_before),
      database(std::move(opened)),
      schema(ReadSchema(*database)),
      find(*database, EntryColumns(schema) + "WHERE md5path_1 = ?1 AND md5path_2 = ?2"),
      list(*database, EntryColumns(schema) + "WHERE parent_1 = ?1 AND parent_2 = ?2"),
      chunks(*database,
             "SELECT offset, size, hash FROM chunks WHERE md5path_1 = ?1 AND md5path_2 = ?2 ORDER BY offset") {}

Connections::Lease Connections::Take(const std::string& object) {
  uint64_t damages;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    damages = damages_;
    auto found = std::find_if(idle_.begin(), idle_.end(), [&](auto& idle) { return idle->object == object; });
    if (found != idle_.end()) {
      auto connection = std::move(*found);
      idle_.erase(found);
      return Lease(this, std::move(connection));
    }
  }
  std::unique_ptr<Database> database = Database::Open(objects_.PathOf(object));
  if (!database) return {};
  objects_.NoteUsed(object);
  return Lease(this, std::make_unique<Connection>(object, damages, std::move(database)));
}

void Connections::GiveBack(std::unique_ptr<Connection> connection) {
  std::unique_ptr<Connection> closed;  // outside of the lock
  std::lock_guard<std::mutex> lock(mutex_);
  if (connection->damages != damages_) {
    closed = std::move(connection);
    return;
  }
  idle_.push_front(std::move(connection));
  if (idle_.size() <= kMaxIdle) return;
  closed = std::move(idle_.back());
  idle_.pop_back();
}

uint64_t Connections::damages() {
  std::lock_guard<std::mutex> lock(mutex_);
  return damages_;
}

bool Connections::NoteDamage(uint64_t damages) {
  std::list<std::unique_ptr<Connection>> closed;
  std::lock_guard<std::mutex> lock(mutex_);
  if (damages != damages_) return false;
  ++damages_;
  closed.swap(idle_);
  return true;
}

void Connections::Close() {
  std::list<std::unique_ptr<Connection>> closed;
  std::lock_guard<std::mutex> lock(mutex_);
  closed.swap(idle_);
}

}  // namespace thinlayer::cvmfs
