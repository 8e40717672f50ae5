#include "database.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

// A step of ours reads some rows of an index. A file may hold a schema that makes it work for ever.
constexpr int kTick = 100'000;  // instructions of SQLite's machine
constexpr int kTicksOfStep = 500;
constexpr int kMaxValueBytes = 1 << 20;
constexpr int kMaxSqlBytes = 64 << 10;
// Pages that one connection keeps; the kernel keeps the others.
constexpr const char* kPragmas = "PRAGMA cache_size=-192; PRAGMA cell_size_check=ON; PRAGMA query_only=ON;";

// A URI may hold any byte, but three have a meaning in it.
std::string Uri(const std::string& path) {
  std::string uri = "file:";
  for (char c : path) {
    if (c == '%') uri += "%25";
    else if (c == '?') uri += "%3f";
    else if (c == '#') uri += "%23";
    else uri += c;
  }
  return uri + "?immutable=1&mode=ro";
}

Fault FaultOf(int result) {
  if (result == SQLITE_NOMEM) return {ENOMEM, true};
  return {EIO};
}

}  // namespace

Statement::Statement(Database& database, const std::string& sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  int result = sqlite3_prepare_v3(database.handle(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  handle_.reset(statement);
  if (result != SQLITE_OK) throw FaultOf(result);
}

Statement& Statement::Bind(const PathHash& hash) {
  sqlite3_bind_int64(handle_.get(), 1, hash.first);
  sqlite3_bind_int64(handle_.get(), 2, hash.second);
  return *this;
}

Statement& Statement::Bind(int index, std::string_view text) {
  sqlite3_bind_text(handle_.get(), index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  return *this;
}

bool Statement::Step() {
  database_.StartStep();
  int result = sqlite3_step(handle_.get());
  if (result != SQLITE_ROW && result != SQLITE_DONE) throw FaultOf(result);
  return result == SQLITE_ROW;
}

void Statement::Reset() { sqlite3_reset(handle_.get()); }

std::string_view Statement::Bytes(int column) const {
  auto data = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  return data ? std::string_view(data, sqlite3_column_bytes(handle_.get(), column)) : std::string_view();
}

std::optional<int64_t> Statement::MaybeInteger(int column) const {
  if (sqlite3_column_type(handle_.get(), column) != SQLITE_INTEGER) return std::nullopt;
  return Integer(column);
}

std::unique_ptr<Database> Database::Open(const std::string& path) {
  sqlite3* handle = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  int result = sqlite3_open_v2(Uri(path).c_str(), &handle, kFlags, nullptr);
  std::unique_ptr<Database> database(new Database(handle));
  if (result == SQLITE_OK) {
    database->Guard();
    return database;
  }
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return nullptr;
  throw Fault{EIO, true};  // nothing was read yet
}

int Database::Tick(void* database) { return ++static_cast<Database*>(database)->ticks_ > kTicksOfStep; }

void Database::Guard() {
  sqlite3* handle = handle_.get();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, kMaxSqlBytes);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_progress_handler(handle, kTick, Tick, this);
  if (sqlite3_exec(handle, kPragmas, nullptr, nullptr, nullptr) != SQLITE_OK) throw Fault{EIO};
}

}  // namespace thinlayer::cvmfs
