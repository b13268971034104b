// Prints what the shim counted in a telemetry file as one JSON line: sums over its rows (processes and devices), the
// most restricted mode of any of them with its cause, and the events (numbers as in abi.h).
//   g++ -O1 -std=c++20 telemetry_dump.cpp -I shim/include -o telemetry_dump && ./telemetry_dump FILE
// Exit 1 when the file is no telemetry of this major version.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "loretoken/abi.h"

namespace {

std::string quoted(const char* text, size_t limit) {
  std::string out = "\"";
  for (size_t i = 0; i < limit && text[i] != 0; ++i) {
    if (text[i] == '"' || text[i] == '\\') out += '\\';
    if (static_cast<unsigned char>(text[i]) >= 0x20) out += text[i];
  }
  return out + "\"";
}

struct Figure {
  const char* name;
  uint64_t loretoken_row::*member;
};

constexpr Figure kFigures[] = {
    {"limit", &loretoken_row::limit},
    {"live_peak", &loretoken_row::live_peak},
    {"raw_peak", &loretoken_row::raw_peak},
    {"packed_peak", &loretoken_row::packed_peak},
    {"host_peak", &loretoken_row::host_peak},
    {"held_peak", &loretoken_row::held_peak},
    {"allocations", &loretoken_row::allocations},
    {"frees", &loretoken_row::frees},
    {"launches", &loretoken_row::launches},
    {"slow_launches", &loretoken_row::slow_launches},
    {"copies", &loretoken_row::copies},
    {"graph_launches", &loretoken_row::graph_launches},
    {"scans", &loretoken_row::scans},
    {"host_scans", &loretoken_row::host_scans},
    {"kernels_classed", &loretoken_row::kernels_classed},
    {"pointer_kernels", &loretoken_row::pointer_kernels},
    {"edges", &loretoken_row::edges},
    {"false_alarms", &loretoken_row::false_alarms},
    {"packs", &loretoken_row::packs},
    {"packs_refused", &loretoken_row::packs_refused},
    {"forced_packs", &loretoken_row::forced_packs},
    {"unpacks", &loretoken_row::unpacks},
    {"spills", &loretoken_row::spills},
    {"fetches", &loretoken_row::fetches},
    {"drops", &loretoken_row::drops},
    {"remaps", &loretoken_row::remaps},
    {"wait_ns", &loretoken_row::wait_ns},
    {"stall_ns", &loretoken_row::stall_ns},
    {"evict_waits", &loretoken_row::evict_waits},
    {"verify_failures", &loretoken_row::verify_failures},
    {"checksum_failures", &loretoken_row::checksum_failures},
    {"out_of_memory", &loretoken_row::out_of_memory},
    {"unknown_entries", &loretoken_row::unknown_entries},
    {"strict_unmaps", &loretoken_row::strict_unmaps},
};

template <size_t N>
void sums(const std::vector<const loretoken_row*>& rows, const char* name, uint64_t (loretoken_row::*member)[N]) {
  std::printf(", \"%s\": [", name);
  for (size_t i = 0; i < N; ++i) {
    uint64_t sum = 0;
    for (const loretoken_row* row : rows) sum += (row->*member)[i];
    std::printf("%s%llu", i == 0 ? "" : ", ", static_cast<unsigned long long>(sum));
  }
  std::printf("]");
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream file(argc > 1 ? argv[1] : "", std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto* data = reinterpret_cast<const loretoken_telemetry*>(bytes.data());
  if (bytes.size() < sizeof(loretoken_telemetry) || data->magic != LORETOKEN_TELEMETRY_MAGIC ||
      data->version_major != LORETOKEN_ABI_MAJOR) {
    std::fprintf(stderr, "no telemetry of version %u\n", LORETOKEN_ABI_MAJOR);
    return 1;
  }
  std::vector<const loretoken_row*> rows;
  for (const loretoken_row& row : data->rows)
    if (row.pid != 0 || row.launches != 0 || row.allocations != 0) rows.push_back(&row);

  const loretoken_row* worst = nullptr;
  for (const loretoken_row* row : rows)
    if (worst == nullptr || row->mode > worst->mode) worst = row;
  const char* modes[] = {"full", "hold", "off"};
  std::printf("{\"rows\": %zu, \"mode\": \"%s\", \"cause\": %s", rows.size(),
              worst == nullptr ? "none" : modes[worst->mode < 3 ? worst->mode : 2],
              worst == nullptr ? "\"\"" : quoted(worst->mode_cause, sizeof worst->mode_cause).c_str());
  for (const Figure& figure : kFigures) {
    uint64_t sum = 0;
    for (const loretoken_row* row : rows) sum += row->*figure.member;
    std::printf(", \"%s\": %llu", figure.name, static_cast<unsigned long long>(sum));
  }
  sums(rows, "pins", &loretoken_row::pins);
  sums(rows, "codec_in", &loretoken_row::codec_in);
  sums(rows, "codec_out", &loretoken_row::codec_out);
  std::printf(", \"events\": [");
  const char* comma = "";
  for (const loretoken_event& event : data->events) {
    if (event.number == 0) continue;
    std::printf(
        "%s{\"guard\": %u, \"from\": %u, \"to\": %u, \"eased\": %u, \"figure\": %lld, \"limit\": %lld, \"text\": %s}",
        comma, event.guard, event.from_mode, event.to_mode, event.eased, static_cast<long long>(event.figure),
        static_cast<long long>(event.limit), quoted(event.text, sizeof event.text).c_str());
    comma = ", ";
  }
  std::printf("]}\n");
  return 0;
}
