// What each file of the addon registers with `exports`.
#ifndef THINLAYER_ADDON_H_
#define THINLAYER_ADDON_H_

#include <napi.h>

namespace thinlayer {

void RegisterMount(Napi::Env env, Napi::Object exports);
void RegisterPlaces(Napi::Env env, Napi::Object exports);
void RegisterProbe(Napi::Env env, Napi::Object exports);
void RegisterHost(Napi::Env env, Napi::Object exports);
void RegisterQuota(Napi::Env env, Napi::Object exports);
void RegisterDisk(Napi::Env env, Napi::Object exports);
void RegisterTreeWriter(Napi::Env env, Napi::Object exports);
void RegisterTreeReader(Napi::Env env, Napi::Object exports);
void RegisterTreeCompare(Napi::Env env, Napi::Object exports);

}  // namespace thinlayer

#endif  // THINLAYER_ADDON_H_
