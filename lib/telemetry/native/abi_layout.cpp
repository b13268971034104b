// Prints size and offset of every field of abi.h as JSON: {"struct": {"size": n, "fields": {"name": [offset, size]}}}.
#include <cstddef>
#include <cstdio>

#include "loretoken/abi.h"

namespace {

class Printer {
 public:
  void begin(const char* name, size_t size) {
    std::printf("%s\n\"%s\": {\"size\": %zu, \"fields\": {", first_struct_ ? "{" : "}},", name, size);
    first_struct_ = false;
    first_field_ = true;
  }
  void field(const char* name, size_t offset, size_t size) {
    std::printf("%s\n  \"%s\": [%zu, %zu]", first_field_ ? "" : ",", name, offset, size);
    first_field_ = false;
  }
  void end() { std::printf("}}}\n"); }

 private:
  bool first_struct_ = true;
  bool first_field_ = true;
};

}  // namespace

#define BEGIN(type) printer.begin(#type, sizeof(struct type))
#define FIELD(type, name) printer.field(#name, offsetof(struct type, name), sizeof(((struct type*)nullptr)->name))

int main() {
  Printer printer;

  BEGIN(loretoken_control_device);
  FIELD(loretoken_control_device, uuid);
  FIELD(loretoken_control_device, limit);
  FIELD(loretoken_control_device, virtual_size);
  FIELD(loretoken_control_device, verdict_mode);
  FIELD(loretoken_control_device, verdict_guard);
  FIELD(loretoken_control_device, verdict_figure);
  FIELD(loretoken_control_device, verdict_limit);
  FIELD(loretoken_control_device, verdict_backoff);
  FIELD(loretoken_control_device, reserved0);
  FIELD(loretoken_control_device, reserved);

  BEGIN(loretoken_control);
  FIELD(loretoken_control, magic);
  FIELD(loretoken_control, version_major);
  FIELD(loretoken_control, version_minor);
  FIELD(loretoken_control, size);
  FIELD(loretoken_control, sequence);
  FIELD(loretoken_control, policy_generation);
  FIELD(loretoken_control, mode);
  FIELD(loretoken_control, verify);
  FIELD(loretoken_control, integrity);
  FIELD(loretoken_control, max_penalty_permille);
  FIELD(loretoken_control, codecs);
  FIELD(loretoken_control, host_limit);
  FIELD(loretoken_control, max_temperature_milli);
  FIELD(loretoken_control, max_power_milliwatts);
  FIELD(loretoken_control, device_count);
  FIELD(loretoken_control, device_size);
  FIELD(loretoken_control, heartbeat_ns);
  FIELD(loretoken_control, integrity_threshold);
  FIELD(loretoken_control, integrity_window_s);
  FIELD(loretoken_control, penalty_window_ms);
  FIELD(loretoken_control, max_power_permille);
  FIELD(loretoken_control, pointer_safety);
  FIELD(loretoken_control, reserved0);
  FIELD(loretoken_control, reserved);
  FIELD(loretoken_control, devices);

  BEGIN(loretoken_process);
  FIELD(loretoken_process, pid);
  FIELD(loretoken_process, reserved0);
  FIELD(loretoken_process, start_time);
  FIELD(loretoken_process, charged);
  FIELD(loretoken_process, pinned);
  FIELD(loretoken_process, reserved);

  BEGIN(loretoken_row);
  FIELD(loretoken_row, pid);
  FIELD(loretoken_row, device);
  FIELD(loretoken_row, uuid);
  FIELD(loretoken_row, start_time);
  FIELD(loretoken_row, mode);
  FIELD(loretoken_row, mode_guard);
  FIELD(loretoken_row, mode_cause);
  FIELD(loretoken_row, updated);
  FIELD(loretoken_row, physical_total);
  FIELD(loretoken_row, limit);
  FIELD(loretoken_row, virtual_size);
  FIELD(loretoken_row, live_bytes);
  FIELD(loretoken_row, live_peak);
  FIELD(loretoken_row, raw_bytes);
  FIELD(loretoken_row, raw_peak);
  FIELD(loretoken_row, packed_bytes);
  FIELD(loretoken_row, packed_peak);
  FIELD(loretoken_row, packed_logical);
  FIELD(loretoken_row, host_bytes);
  FIELD(loretoken_row, host_peak);
  FIELD(loretoken_row, host_logical);
  FIELD(loretoken_row, idle_bytes);
  FIELD(loretoken_row, held_bytes);
  FIELD(loretoken_row, held_peak);
  FIELD(loretoken_row, foreign_bytes);
  FIELD(loretoken_row, allocations);
  FIELD(loretoken_row, frees);
  FIELD(loretoken_row, launches);
  FIELD(loretoken_row, slow_launches);
  FIELD(loretoken_row, copies);
  FIELD(loretoken_row, graph_launches);
  FIELD(loretoken_row, scans);
  FIELD(loretoken_row, host_scans);
  FIELD(loretoken_row, kernels_classed);
  FIELD(loretoken_row, pointer_kernels);
  FIELD(loretoken_row, edges);
  FIELD(loretoken_row, edges_live);
  FIELD(loretoken_row, false_alarms);
  FIELD(loretoken_row, packs);
  FIELD(loretoken_row, packs_refused);
  FIELD(loretoken_row, unpacks);
  FIELD(loretoken_row, spills);
  FIELD(loretoken_row, fetches);
  FIELD(loretoken_row, drops);
  FIELD(loretoken_row, remaps);
  FIELD(loretoken_row, wait_ns);
  FIELD(loretoken_row, stall_ns);
  FIELD(loretoken_row, evict_waits);
  FIELD(loretoken_row, verify_failures);
  FIELD(loretoken_row, checksum_failures);
  FIELD(loretoken_row, out_of_memory);
  FIELD(loretoken_row, unknown_entries);
  FIELD(loretoken_row, strict_unmaps);
  FIELD(loretoken_row, pins);
  FIELD(loretoken_row, codec_in);
  FIELD(loretoken_row, codec_out);
  FIELD(loretoken_row, guard_events);
  FIELD(loretoken_row, unpack_bytes);
  FIELD(loretoken_row, spill_bytes);
  FIELD(loretoken_row, fetch_bytes);
  FIELD(loretoken_row, penalty_permille);
  FIELD(loretoken_row, backoff);
  FIELD(loretoken_row, policy_generation);
  FIELD(loretoken_row, forced_packs);
  FIELD(loretoken_row, reserved);

  BEGIN(loretoken_event);
  FIELD(loretoken_event, number);
  FIELD(loretoken_event, realtime_ns);
  FIELD(loretoken_event, pid);
  FIELD(loretoken_event, device);
  FIELD(loretoken_event, guard);
  FIELD(loretoken_event, from_mode);
  FIELD(loretoken_event, to_mode);
  FIELD(loretoken_event, eased);
  FIELD(loretoken_event, figure);
  FIELD(loretoken_event, limit);
  FIELD(loretoken_event, text);

  BEGIN(loretoken_telemetry);
  FIELD(loretoken_telemetry, magic);
  FIELD(loretoken_telemetry, version_major);
  FIELD(loretoken_telemetry, version_minor);
  FIELD(loretoken_telemetry, size);
  FIELD(loretoken_telemetry, process_offset);
  FIELD(loretoken_telemetry, process_size);
  FIELD(loretoken_telemetry, process_count);
  FIELD(loretoken_telemetry, row_offset);
  FIELD(loretoken_telemetry, row_size);
  FIELD(loretoken_telemetry, row_count);
  FIELD(loretoken_telemetry, event_offset);
  FIELD(loretoken_telemetry, event_size);
  FIELD(loretoken_telemetry, event_count);
  FIELD(loretoken_telemetry, reserved0);
  FIELD(loretoken_telemetry, event_next);
  FIELD(loretoken_telemetry, reserved);
  FIELD(loretoken_telemetry, processes);
  FIELD(loretoken_telemetry, rows);
  FIELD(loretoken_telemetry, events);

  printer.end();
}
