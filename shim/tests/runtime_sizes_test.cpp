#include "runtime/sizes.h"

#include <gtest/gtest.h>

namespace loretoken {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kStep = uint64_t{2} << 20;

Settings with(const char* limit, const char* virtual_size) {
  Settings settings;
  if (limit != nullptr) settings.limit = *parse_size(limit);
  if (virtual_size != nullptr) settings.virtual_size = *parse_size(virtual_size);
  return settings;
}

TEST(DeviceSizes, DefaultLeavesAReserveAndTellsHalfMore) {
  const DeviceSizes sizes = plan_sizes(24 * kGiB, 23 * kGiB, with(nullptr, nullptr));
  EXPECT_LT(sizes.limit, 23 * kGiB);
  EXPECT_GT(sizes.limit, 22 * kGiB);
  EXPECT_EQ(sizes.virtual_size, sizes.limit * 3 / 2 / kStep * kStep);
  EXPECT_EQ(sizes.limit % kStep, 0u);
}

TEST(DeviceSizes, ReserveIsAtMostOneGiB) {
  EXPECT_EQ(plan_sizes(140 * kGiB, 139 * kGiB, with(nullptr, nullptr)).limit, 138 * kGiB);
}

TEST(DeviceSizes, GivenSizesAreUsed) {
  const DeviceSizes sizes = plan_sizes(80 * kGiB, 79 * kGiB, with("24GiB", "48GiB"));
  EXPECT_EQ(sizes.limit, 24 * kGiB);
  EXPECT_EQ(sizes.virtual_size, 48 * kGiB);
}

TEST(DeviceSizes, SharesAreOfTheCardAndOfTheLimit) {
  const DeviceSizes sizes = plan_sizes(80 * kGiB, 79 * kGiB, with("50%", "200%"));
  EXPECT_EQ(sizes.limit, 40 * kGiB);
  EXPECT_EQ(sizes.virtual_size, 80 * kGiB);
}

TEST(DeviceSizes, ALimitAboveTheCardIsCutWithAWarning) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(plan_sizes(24 * kGiB, 23 * kGiB, with("30GiB", nullptr)).limit, 24 * kGiB);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("30.0 GiB"), std::string::npos);
}

TEST(DeviceSizes, AFullCardStillLeavesOneStep) {
  EXPECT_EQ(plan_sizes(24 * kGiB, 0, with(nullptr, nullptr)).limit, kStep);
}

}  // namespace
}  // namespace loretoken
