// Counts calls per symbol when LORETOKEN_SIM_CALLS names a file; the counts are written there when the process exits:
// one `<symbol> <calls>` line per symbol that was called, sorted, then `* <calls of all>`. A forked child does not
// write.
#ifndef LORETOKEN_SIM_CALL_COUNT_H
#define LORETOKEN_SIM_CALL_COUNT_H

namespace loretoken::sim::inject {

// Any thread. One relaxed load when counting is off, a lock and a map look-up when it is on.
void count_call(const char* name) noexcept;

}  // namespace loretoken::sim::inject

#endif  // LORETOKEN_SIM_CALL_COUNT_H
