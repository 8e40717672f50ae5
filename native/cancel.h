// Stopping a job that runs.
#ifndef THINLAYER_CANCEL_H_
#define THINLAYER_CANCEL_H_

#include <napi.h>

#include <cerrno>
#include <cstdint>

#include "worker.h"

namespace thinlayer {

// A byte that JavaScript sets: the job looks at it between its steps.
class CancelFlag {
 public:
  explicit CancelFlag(const uint8_t* flag) : flag_(flag) {}
  // Throws ECANCELED once the byte is set.
  void Check(const char* what, const std::string& path = "") const {
    if (__atomic_load_n(flag_, __ATOMIC_RELAXED) != 0) FailWith(ECANCELED, what, path);
  }

 private:
  const uint8_t* flag_;
};

// Keeps the flag's memory, a Uint8Array, while it is read.
class CancellableJob : public Job {
 public:
  explicit CancellableJob(const Napi::Value& flag)
      : hold_(Napi::Persistent(flag.As<Napi::Uint8Array>())), cancel_(hold_.Value().Data()) {}

 protected:
  const CancelFlag& cancel() const { return cancel_; }

 private:
  Napi::Reference<Napi::Uint8Array> hold_;
  CancelFlag cancel_;
};

}  // namespace thinlayer

#endif  // THINLAYER_CANCEL_H_
