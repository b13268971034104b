#include "residency/section.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace loretoken {
namespace {

using namespace std::chrono_literals;

constexpr auto kGoOn = [] { return true; };

TEST(Section, TheMoverWaitsForASectionThatWasOpen) {
  std::atomic<bool> inside{false};
  std::atomic<bool> leave{false};
  std::atomic<bool> left{false};
  std::thread reader([&] {
    Section section;
    inside = true;
    while (!leave) std::this_thread::yield();
    left = true;
  });
  while (!inside) std::this_thread::yield();
  std::atomic<bool> waited{false};
  std::thread mover([&] {
    wait_for_readers(kGoOn);
    EXPECT_TRUE(left);
    waited = true;
  });
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(waited);
  leave = true;
  reader.join();
  mover.join();
  EXPECT_TRUE(waited);
}

TEST(Section, AnInnerSectionDoesNotEndTheOuterOne) {
  std::atomic<bool> inner_left{false};
  std::atomic<bool> leave{false};
  std::atomic<bool> outer_open{true};
  std::thread reader([&] {
    Section outer;
    { Section inner; }
    inner_left = true;
    while (!leave) std::this_thread::yield();
    outer_open = false;
  });
  while (!inner_left) std::this_thread::yield();
  std::thread mover([&] {
    wait_for_readers(kGoOn);
    EXPECT_FALSE(outer_open);
  });
  std::this_thread::sleep_for(5ms);
  leave = true;
  reader.join();
  mover.join();
}

TEST(Section, LeavingEarlyLetsTheMoverGoOn) {
  Section section;
  section.leave();
  wait_for_readers(kGoOn);  // would not return if this thread were still inside
  SUCCEED();
}

TEST(Section, TheMoverCanGiveUpASectionThatStaysOpen) {
  std::atomic<bool> inside{false};
  std::atomic<bool> leave{false};
  std::thread reader([&] {
    Section section;
    inside = true;
    while (!leave) std::this_thread::yield();
  });
  while (!inside) std::this_thread::yield();
  int asked = 0;
  EXPECT_FALSE(wait_for_readers([&] { return ++asked < 3; }));
  EXPECT_EQ(asked, 3);
  leave = true;
  reader.join();
}

// The protocol itself: a reader that sees "raw" never meets "unmapped", whatever the interleaving.
TEST(Section, NoReaderThatSawRawMeetsTheUnmapping) {
  constexpr int kRaw = 0;
  constexpr int kClaimed = 1;
  std::atomic<int> state{kRaw};
  std::atomic<bool> mapped{true};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        Section section;
        if (state.load(std::memory_order_acquire) == kRaw && !mapped.load(std::memory_order_relaxed)) ++wrong;
      }
    });
  }
  for (int i = 0; i < 3000; ++i) {
    state.store(kClaimed, std::memory_order_seq_cst);
    wait_for_readers(kGoOn);
    mapped.store(false, std::memory_order_relaxed);
    mapped.store(true, std::memory_order_relaxed);
    state.store(kRaw, std::memory_order_seq_cst);
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace loretoken
