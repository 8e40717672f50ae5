#include "inflater.h"

#include <zlib.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>

#include "../worker.h"

namespace thinlayer::cvmfs {
namespace {

using Bytes = Napi::Buffer<uint8_t>;

// Used by one thread at a time.
class Inflate {
 public:
  Inflate() = default;
  ~Inflate() { inflateEnd(&stream_); }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;

  // On the JavaScript thread. The one before must have been read.
  void Give(Bytes piece) {
    stream_.next_in = piece.Data();
    stream_.avail_in = static_cast<uInt>(piece.Length());
    piece_ = Napi::Persistent(piece);
  }

  // On a worker's thread, where a lack of memory becomes an errno. Answers how many bytes it wrote: as many as there is
  // room for, unless the piece holds no more.
  size_t Fill(uint8_t* into, size_t room) {
    if (!stream_.state && inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
    stream_.next_out = into;
    stream_.avail_out = static_cast<uInt>(room);
    while (stream_.avail_out > 0 && Step()) continue;
    return room - stream_.avail_out;
  }

  // Bytes given after its end; none: it has not ended.
  std::optional<uint64_t> left() const { return left_; }

 private:
  // False: the piece holds no more. That it is read does not mean so: zlib holds bytes back.
  bool Step() {
    if (left_) {
      *left_ += stream_.avail_in;
      stream_.avail_in = 0;
      return false;
    }
    int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) left_ = 0;
    else if (result != Z_OK && result != Z_BUF_ERROR) Refuse(result);
    return result != Z_BUF_ERROR;
  }

  [[noreturn]] void Refuse(int result) {
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    const char* reason = result == Z_NEED_DICT ? "a dictionary is needed" : stream_.msg;
    FailWith(EBADMSG, "inflate", "", reason ? reason : "");
  }

  z_stream stream_ = {};
  std::optional<uint64_t> left_;
  Napi::Reference<Bytes> piece_;  // keeps it while it is read
};

class FillJob : public Job {
 public:
  FillJob(std::shared_ptr<Inflate> inflate, Bytes into, size_t at)
      : inflate_(std::move(inflate)), into_(into.Data()), end_(into.Length()), at_(at), hold_(Napi::Persistent(into)) {}

  void Run() override { at_ += inflate_->Fill(into_ + at_, end_ - at_); }
  Napi::Value Result(Napi::Env env) override { return Napi::Number::New(env, static_cast<double>(at_)); }

 private:
  const std::shared_ptr<Inflate> inflate_;
  uint8_t* const into_;
  const size_t end_;
  size_t at_;
  Napi::Reference<Bytes> hold_;  // keeps the memory while it is written
};

class Inflater : public Napi::ObjectWrap<Inflater> {
 public:
  explicit Inflater(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Inflater>(info), inflate_(std::make_shared<Inflate>()) {}

  Napi::Value Fill(const Napi::CallbackInfo& info) {
    if (info[0].IsBuffer()) inflate_->Give(info[0].As<Bytes>());
    const size_t at = info[2].As<Napi::Number>().Uint32Value();
    return Submit(info.Env(), Lane::kFile, std::make_unique<FillJob>(inflate_, info[1].As<Bytes>(), at));
  }

  Napi::Value Left(const Napi::CallbackInfo& info) {
    std::optional<uint64_t> left = inflate_->left();
    return left ? Napi::Number::New(info.Env(), static_cast<double>(*left)) : info.Env().Null();
  }

 private:
  const std::shared_ptr<Inflate> inflate_;
};

}  // namespace

void RegisterInflater(Napi::Env env, Napi::Object exports) {
  exports.Set("Inflater", Inflater::DefineClass(env, "Inflater",
                                                {Inflater::InstanceMethod("inflate", &Inflater::Fill),
                                                 Inflater::InstanceMethod("left", &Inflater::Left)}));
}

}  // namespace thinlayer::cvmfs
