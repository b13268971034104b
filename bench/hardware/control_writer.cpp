// Writes a control file once, with the fields given; the others are at their defaults.
//   g++ -O1 -std=c++20 control_writer.cpp -I shim/include -o control_writer
//   control_writer FILE GPU-UUID [FIELD=NUMBER…]     FIELD: see kFields; beat=1: a sign of life of the agent, now
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "control_file.h"

int main(int argc, char** argv) {
  std::optional<ControlFile> file;
  if (argc >= 3) file.emplace(argv[1], argv[2]);
  if (!file || !file->ready()) {
    fprintf(stderr, "usage: control_writer FILE GPU-UUID [FIELD=NUMBER…]\n");
    return 2;
  }
  loretoken_control& block = file->block;
  loretoken_control_device& device = file->device();
  const std::map<std::string, std::function<void(int64_t)>> kFields = {
      {"limit", [&](int64_t n) { device.limit = static_cast<uint64_t>(n); }},
      {"max_temperature_milli", [&](int64_t n) { block.max_temperature_milli = n; }},
      {"max_power_permille", [&](int64_t n) { block.max_power_permille = static_cast<uint32_t>(n); }},
      {"verdict_guard", [&](int64_t n) { device.verdict_guard = static_cast<uint32_t>(n); }},
      {"verdict_backoff", [&](int64_t n) { device.verdict_backoff = static_cast<uint32_t>(n); }},
      {"generation", [&](int64_t n) { block.policy_generation = static_cast<uint64_t>(n); }},
      {"beat", [&](int64_t) { file->beat(); }},
  };
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    const auto field = kFields.find(word.substr(0, equals));
    char* end = nullptr;
    const int64_t number = equals == std::string::npos ? 0 : strtoll(word.c_str() + equals + 1, &end, 10);
    if (field == kFields.end() || end == nullptr || *end != 0) {
      fprintf(stderr, "control_writer: %s is no field with a number\n", word.c_str());
      return 2;
    }
    field->second(number);
  }
  return file->write() ? 0 : 1;
}
