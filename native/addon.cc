// Registration only: each file adds its own functions and classes.
#include "addon.h"

#include "worker.h"

namespace thinlayer {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InitWorkers(env);
  RegisterMount(env, exports);
  RegisterPlaces(env, exports);
  RegisterProbe(env, exports);
  RegisterHost(env, exports);
  RegisterQuota(env, exports);
  RegisterDisk(env, exports);
  RegisterTreeWriter(env, exports);
  RegisterTreeReader(env, exports);
  RegisterTreeCompare(env, exports);
  return exports;
}

NODE_API_MODULE(thinlayer, Init)

}  // namespace thinlayer
