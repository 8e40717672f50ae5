#include "addon.h"

namespace thinlayer {

void RegisterProbe(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
