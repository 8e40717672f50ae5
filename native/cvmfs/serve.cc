#include "serve.h"

#include <cerrno>
#include <new>

namespace thinlayer::cvmfs {
namespace {

// An object that was fetched may be evicted before the request is run again; more often than this is no accident.
constexpr int kMaxMissesOfOne = 5;

struct ParkedRequest : std::enable_shared_from_this<ParkedRequest> {
  ParkedRequest(fuse_req_t r, Work w) : request(r), work(std::move(w)) {}
  const fuse_req_t request;
  const Work work;
  std::string object;
  int misses = 0;
  ParkedPtr parked;

  void Park(const Missing& missing);
  void Resume(int error);
  void Run();
};

void Fail(fuse_req_t request, int error) {
  if (error != ENOENT && error != ENODATA) RepositoryOf(request).counters.failures++;
  fuse_reply_err(request, error);
}

// The interrupt is announced before the request is parked, or one could get lost in between; libfuse calls it at once if
// the interrupt was here already. It is not called any more when libfuse has taken the function back.
void ParkedRequest::Park(const Missing& missing) {
  misses = missing.object == object ? misses + 1 : 1;
  object = missing.object;
  if (misses > kMaxMissesOfOne) return Fail(request, EIO);
  auto self = shared_from_this();
  parked = std::make_shared<Parked>([self](int error) { self->Resume(error); });
  ParkedPtr mine = parked;  // `this` may be resumed and gone before Park returns
  Misses& store = RepositoryOf(request).misses;
  fuse_req_interrupt_func(
      request,
      [](fuse_req_t interrupted, void* data) {
        RepositoryOf(interrupted).misses.Interrupt(*static_cast<ParkedRequest*>(data)->parked);
      },
      this);
  store.Park(missing, mine);
}

void ParkedRequest::Resume(int error) {
  fuse_req_interrupt_func(request, nullptr, nullptr);
  parked.reset();
  if (error != 0) Fail(request, error);
  else Run();
}

void ParkedRequest::Run() {
  try {
    work(request, RepositoryOf(request));
  } catch (const Missing& missing) {
    Park(missing);
  } catch (const Fault& fault) {
    Fail(request, fault.number);
  } catch (const std::bad_alloc&) {
    Fail(request, ENOMEM);
  }
}

}  // namespace

void ReplyCaught(fuse_req_t request, const Work& again) {
  try {
    throw;
  } catch (const Missing& missing) {
    std::make_shared<ParkedRequest>(request, again)->Park(missing);
  } catch (const Fault& fault) {
    Fail(request, fault.number);
  } catch (const std::bad_alloc&) {
    Fail(request, ENOMEM);
  }
}

}  // namespace thinlayer::cvmfs
