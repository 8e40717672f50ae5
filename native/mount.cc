#include "addon.h"

namespace thinlayer {

void RegisterMount(Napi::Env, Napi::Object) {}

}  // namespace thinlayer
