// A window with units and no driver behind it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "memory/page_table.h"

namespace loretoken {

class WindowTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kBase = 0x7C10'0000'0000;

  WindowTest() { EXPECT_TRUE(install_window(kBase, uint64_t{1} << 36)); }
  ~WindowTest() override {
    for (Unit* unit : made_) {
      unit->flags = 0;
      unit->state = UnitState::kUnbacked;
      retire_units(unit);
    }
  }

  // A row of `count` raw units of `pages` pages each, and its guard page.
  Unit* make(uint32_t pages, uint32_t count = 1, UnitKind kind = UnitKind::kSingle) {
    const std::vector<uint64_t> sizes(count, pages * kPageBytes);
    Unit* first = create_units(next_, sizes.data(), count, 0, kind);
    next_ += uint64_t{pages} * count * kPageBytes + kGuardBytes;
    for (uint32_t i = 0; i < count; ++i) {
      unit_in_row(first, i)->state = UnitState::kRaw;
      unit_in_row(first, i)->flags = 0;
    }
    made_.push_back(first);
    return first;
  }

 private:
  uint64_t next_ = kBase + (uint64_t{16} << 20);
  std::vector<Unit*> made_;
};

}  // namespace loretoken
