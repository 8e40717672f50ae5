#include "addon.h"

namespace thinlayer {

void RegisterTreeReader(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
