// Open connections to catalogs, each with its prepared statements: lent to one request at a time, kept for the next.
#ifndef THINLAYER_CVMFS_CONNECTIONS_H_
#define THINLAYER_CVMFS_CONNECTIONS_H_

#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "database.h"
#include "objects.h"

namespace thinlayer::cvmfs {

struct Connection {
  // Which columns and tables there are.
  struct Schema {
    int revision;
    bool HasSizes() const { return revision >= 1; }
    bool HasXattrs() const { return revision >= 2; }
    bool HasBindMountpoints() const { return revision >= 4; }
    bool HasNanoseconds() const { return revision >= 7; }
  };

  Connection(std::string object, uint64_t damages, std::unique_ptr<Database> opened);

  const std::string object;
  const uint64_t damages;  // of the store, when it was opened
  const std::unique_ptr<Database> database;
  const Schema schema;
  Statement find;    // one entry by its path's hash
  Statement list;    // entries by the hash of their parent's path
  Statement chunks;  // of a path's hash, by offset
};

class Connections {
 public:
  explicit Connections(Objects& objects) : objects_(objects) {}

  // A connection that nobody else uses; returned to the store at its end.
  class Lease {
   public:
    Lease() = default;
    Lease(Connections* store, std::unique_ptr<Connection> connection)
        : store_(store), connection_(std::move(connection)) {}
    Lease(Lease&&) = default;
    ~Lease() {
      if (connection_) store_->GiveBack(std::move(connection_));
    }
    explicit operator bool() const { return connection_ != nullptr; }
    Connection& operator*() { return *connection_; }
    Connection* operator->() { return connection_.get(); }

   private:
    Connections* store_ = nullptr;
    std::unique_ptr<Connection> connection_;
  };

  // Empty if the catalog is not in the cache; Fault{EIO} if it is no catalog that we can read.
  Lease Take(const std::string& object);
  // Grows with each catalog that turned out to be damaged.
  uint64_t damages();
  // For a catalog that could not be read: nobody is lent a connection again that was opened before now. False if a catalog
  // was found damaged since `damages`: then this one may have been fetched anew already.
  bool NoteDamage(uint64_t damages);
  // Closes those that nobody uses.
  void Close();

 private:
  void GiveBack(std::unique_ptr<Connection> connection);

  Objects& objects_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Connection>> idle_;  // last used first
  uint64_t damages_ = 0;
};

}  // namespace thinlayer::cvmfs

#endif  // THINLAYER_CVMFS_CONNECTIONS_H_
