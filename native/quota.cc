#include "addon.h"

namespace thinlayer {

void RegisterQuota(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
