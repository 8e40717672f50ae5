#include "addon.h"

namespace thinlayer {

void RegisterTreeWriter(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
