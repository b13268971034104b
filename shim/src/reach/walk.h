// Follows words that an operation can read to the units they point to: parameters, what pinned host buffers hold, and,
// by Edges, what reached memory holds.
//
// Cost per word outside window and known ranges: two compares. Inside the window: the page table's two loads and the
// set's duplicate check. No allocation, no lock unless a known range or a holder is reached.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/page_table.h"
#include "reach/edges.h"
#include "reach/host_ranges.h"

namespace loretoken {

class Walk {
 public:
  explicit Walk(ReachSet* set)
      : set_(set),
        base_(window().base.load(std::memory_order_relaxed)),
        bytes_(window().bytes.load(std::memory_order_acquire)),
        bounds_(known_range_bounds()) {}

  void word(uint64_t value) {
    ++position_;
    if (value - base_ < bytes_) places_ = (places_ ^ position_) * 0x9E3779B97F4A7C15ull;
    follow(value);
  }
  // `words` 8-byte words at 4-byte steps from `data`.
  void words(const void* data, uint32_t count);

  // Adds what the reached holders hold. Takes the edges' lock only if a reached unit is flagged or a range was met.
  void close(Edges& edges, Closure* closure);

  // The operation may reach anything.
  void everything() { set_->everything = true; }
  bool met_holders() const { return count_ != 0; }

  bool managed() const { return managed_; }
  // Which of the words that were walked are addresses of ours, hashed; those in pinned buffers do not count.
  uint64_t places() const { return places_; }
  // Addresses in flagged units and bases of known ranges.
  std::vector<uint64_t> holders() const;
  // Every address that was walked into, for those who need more than units; nullptr: not recorded.
  std::vector<uint64_t>* record = nullptr;
  uint64_t host_bytes_read() const { return host_bytes_; }

 private:
  static constexpr uint32_t kInline = 32;
  void follow(uint64_t value) {
    if (value - base_ < bytes_) {
      address(value);
    } else if (bounds_.contains(value)) {
      outside(value);
    }
  }
  void address(uint64_t value);
  void outside(uint64_t value);
  void read_pinned();
  void hold(uint64_t value);

  ReachSet* set_;
  uint64_t base_;
  uint64_t bytes_;
  RangeBounds bounds_;
  bool managed_ = false;
  bool reading_ = false;
  uint64_t host_bytes_ = 0;
  uint64_t position_ = 0;
  uint64_t places_ = 0;
  uint32_t count_ = 0;
  uint64_t inline_[kInline];
  std::vector<uint64_t> more_;
  std::vector<uint64_t> read_;     // bases of pinned ranges read
  std::vector<uint64_t> to_read_;  // addresses in pinned ranges met while reading one
};

}  // namespace loretoken
