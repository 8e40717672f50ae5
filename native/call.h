// For addon functions that are one call: their arguments, and a job for a function without a result.
#ifndef THINLAYER_CALL_H_
#define THINLAYER_CALL_H_

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "worker.h"

namespace thinlayer {

inline std::string StringAt(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::String>().Utf8Value();
}

// Of work on trees; an argument tells whether some of it lies in a network file system.
inline Lane TreeLaneAt(const Napi::CallbackInfo& info, size_t index) {
  return info[index].ToBoolean() ? Lane::kMerged : Lane::kFile;
}

inline Napi::Promise SubmitCall(Napi::Env env, Lane lane, std::function<void()> call) {
  return Submit(env, lane,
                std::make_unique<FunctionJob<bool>>([call = std::move(call)] { return call(), true; },
                                                    [](Napi::Env e, bool&) { return e.Undefined(); }));
}

}  // namespace thinlayer

#endif  // THINLAYER_CALL_H_
