#include "addon.h"

namespace thinlayer {

void RegisterTreeCompare(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
