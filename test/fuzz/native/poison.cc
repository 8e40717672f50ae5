// Catalogs that are sound databases, and lie.
#include <sqlite3.h>

#include <memory>
#include <string_view>

#include "../../../native/cvmfs/md5.h"
#include "targets.h"

namespace thinlayer::fuzz {
namespace {

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Handle = std::unique_ptr<sqlite3, Close>;

Handle Open(const std::string& file) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  sqlite3_exec(database, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN", nullptr, nullptr, nullptr);
  return Handle(database);
}

std::unique_ptr<sqlite3_stmt, Close> Prepare(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  REQUIRE(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK);
  return std::unique_ptr<sqlite3_stmt, Close>(statement);
}

const std::vector<std::string>& Values() {
  static const std::vector<std::string> values = {
      "name", "/nested", "/a/../b", "0123456789abcdef0123456789abcdef01234567", std::string(20, 'h'), "$(A)/b", "2.5",
      std::string("\x01\x01\x06\x01user.ax", 11)};
  return values;
}

void BindValue(Random& random, sqlite3_stmt* statement, int index) {
  std::string text = Mutated(random, Values());
  int size = static_cast<int>(text.size());
  switch (random.Below(5)) {
    case 0: sqlite3_bind_null(statement, index); break;
    case 1: sqlite3_bind_double(statement, index, static_cast<double>(random.Integer()) / 3); break;
    case 2: sqlite3_bind_text(statement, index, text.data(), size, SQLITE_TRANSIENT); break;
    case 3: sqlite3_bind_blob(statement, index, text.data(), size, SQLITE_TRANSIENT); break;
    default: sqlite3_bind_int64(statement, index, random.Integer());
  }
}

size_t Rows(sqlite3* database, const std::string& table) {
  auto count = Prepare(database, "SELECT count(*) FROM " + table);
  sqlite3_step(count.get());
  return static_cast<size_t>(sqlite3_column_int64(count.get(), 0));
}

// A column of a row, or of all rows, holds anything.
void Change(Random& random, sqlite3* database) {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> tables = {
      {"catalog",
       {"hardlinks", "hash", "size", "mode", "mtime", "flags", "name", "symlink", "uid", "gid", "xattr", "parent_1"}},
      {"chunks", {"offset", "size", "hash", "md5path_1"}},
      {"nested_catalogs", {"path", "sha1", "size"}},
      {"properties", {"key", "value"}},
      {"statistics", {"counter", "value"}}};
  const auto& [table, columns] = random.Of(tables);
  std::string at = std::to_string(random.Below(Rows(database, table)));
  std::string row = " WHERE rowid = (SELECT rowid FROM " + table + " LIMIT 1 OFFSET " + at + ")";
  std::string change = "UPDATE OR IGNORE " + table + " SET " + random.Of(columns) + " = ?1";
  auto update = Prepare(database, random.OneIn(4) ? change : change + row);
  BindValue(random, update.get(), 1);
  sqlite3_step(update.get());
}

void BindHash(sqlite3_stmt* statement, int index, std::string_view path) {
  cvmfs::PathHash hash = cvmfs::Md5(path);
  sqlite3_bind_int64(statement, index, hash.first);
  sqlite3_bind_int64(statement, index + 1, hash.second);
}

// An entry more, whose hashes are those of its name: it is believed as far as its columns go.
void AddEntry(Random& random, sqlite3* database, const std::string& directory) {
  static const std::vector<std::string> names = {"new", ".wh.name", ".cvmfscatalog", "..", "a/b", std::string(255, 'n')};
  auto insert = Prepare(database,
                        "INSERT OR IGNORE INTO catalog (md5path_1, md5path_2, parent_1, parent_2, hardlinks, hash, size, mode,"
                        " mtime, flags, name, symlink, uid, gid, xattr) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10,"
                        " ?11, 0, 0, ?12)");
  std::string name = Mutated(random, names);
  std::string digest = random.OneIn(4) ? Mutated(random, Values()) : std::string(20, 'd');
  BindHash(insert.get(), 1, directory + "/" + name);
  BindHash(insert.get(), 3, directory);
  for (int column : {5, 7, 9}) sqlite3_bind_int64(insert.get(), column, random.Integer());
  sqlite3_bind_blob(insert.get(), 6, digest.data(), static_cast<int>(digest.size()), SQLITE_TRANSIENT);
  sqlite3_bind_int64(insert.get(), 8, random.OneIn(3) ? random.Integer() : 0100644);
  sqlite3_bind_text(insert.get(), 10, name.data(), static_cast<int>(name.size()), SQLITE_TRANSIENT);
  for (int column : {11, 12}) BindValue(random, insert.get(), column);
  sqlite3_step(insert.get());
}

}  // namespace

void Poison(Random& random, const std::string& file, const std::vector<std::string>& directories) {
  Handle database = Open(file);
  for (size_t lies = 1 + random.Below(4); lies > 0; --lies) {
    if (random.OneIn(3)) AddEntry(random, database.get(), random.Of(directories));
    else Change(random, database.get());
  }
  REQUIRE(sqlite3_exec(database.get(), "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK);
}

}  // namespace thinlayer::fuzz
