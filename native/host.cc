#include "addon.h"

namespace thinlayer {

void RegisterHost(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
