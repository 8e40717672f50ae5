#include "query.h"

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../worker.h"
#include "database.h"
#include "fault.h"

namespace thinlayer::cvmfs {
namespace {

using Columns = std::optional<std::vector<std::string>>;

Columns FirstRow(Database& database, const std::string& sql, const std::vector<std::string>& words) {
  Statement statement(database, sql);
  for (size_t i = 0; i < words.size(); ++i) statement.Bind(static_cast<int>(i) + 1, words[i]);
  if (!statement.Step()) return std::nullopt;
  std::vector<std::string> columns;
  for (int i = 0; i < statement.columns(); ++i) columns.emplace_back(statement.Bytes(i));
  return columns;
}

Columns Query(const std::string& path, const std::string& sql, const std::vector<std::string>& words) {
  try {
    std::unique_ptr<Database> database = Database::Open(path);
    if (!database) FailWith(ENOENT, "query", path);
    return FirstRow(*database, sql, words);
  } catch (const Fault& fault) {
    FailWith(fault.number, "query", path, "it is no database that can be read");
  }
}

Napi::Value ToArray(Napi::Env env, const Columns& columns) {
  if (!columns) return env.Null();
  Napi::Array array = Napi::Array::New(env, columns->size());
  for (uint32_t i = 0; i < columns->size(); ++i) array.Set(i, (*columns)[i]);
  return array;
}

}  // namespace

Napi::Value QueryDatabase(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>().Utf8Value();
  std::string sql = info[1].As<Napi::String>().Utf8Value();
  Napi::Array given = info[2].As<Napi::Array>();
  std::vector<std::string> words;
  for (uint32_t i = 0; i < given.Length(); ++i) words.push_back(given.Get(i).As<Napi::String>().Utf8Value());
  auto run = [path, sql, words] { return Query(path, sql, words); };
  return Submit(info.Env(), Lane::kFile, std::make_unique<FunctionJob<Columns>>(run, ToArray));
}

}  // namespace thinlayer::cvmfs
