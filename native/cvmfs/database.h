// SQLite, as far as catalogs need it: read-only connections to files made by strangers.
#ifndef THINLAYER_CVMFS_DATABASE_H_
#define THINLAYER_CVMFS_DATABASE_H_

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "md5.h"

namespace thinlayer::cvmfs {

class Database;

// One prepared statement. Every failure of SQLite, a damaged file included, is Fault{EIO}.
class Statement {
 public:
  // The database must outlive it.
  Statement(Database& database, const std::string& sql);

  Statement& Bind(const PathHash& hash);  // to ?1 and ?2
  Statement& Bind(int index, std::string_view text);  // from 1; `text` must outlive the steps
  bool Step();
  void Reset();

  // Views are valid until the next Step or Reset.
  std::string_view Bytes(int column) const;
  int64_t Integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  int columns() const { return sqlite3_column_count(handle_.get()); }
  bool IsNull(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
  // Nothing if the column holds no integer.
  std::optional<int64_t> MaybeInteger(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// Resets a statement at the end of its use, so that no page of the file stays pinned.
class StatementUse {
 public:
  explicit StatementUse(Statement& statement) : statement_(statement) {}
  ~StatementUse() { statement_.Reset(); }
  StatementUse(const StatementUse&) = delete;
  Statement* operator->() { return &statement_; }
  Statement& operator*() { return statement_; }

 private:
  Statement& statement_;
};

class Database {
 public:
  // Opens a file that never changes. Nothing if there is no such file; Fault{EIO} if it cannot be opened.
  static std::unique_ptr<Database> Open(const std::string& path);
  sqlite3* handle() const { return handle_.get(); }
  // The next step has its whole allowance of work.
  void StartStep() { ticks_ = 0; }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}
  void Guard();
  static int Tick(void* database);
  int ticks_ = 0;
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_DATABASE_H_
