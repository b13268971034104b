#include "base/size.h"

#include <gtest/gtest.h>

namespace loretoken {
namespace {

TEST(Size, UnitsOfBothKinds) {
  EXPECT_EQ(parse_size("24GiB")->bytes, uint64_t{24} << 30);
  EXPECT_EQ(parse_size("24GB")->bytes, 24'000'000'000u);
  EXPECT_EQ(parse_size("512mib")->bytes, uint64_t{512} << 20);
  EXPECT_EQ(parse_size("1.5TiB")->bytes, (uint64_t{3} << 40) / 2);
  EXPECT_EQ(parse_size("4096")->bytes, 4096u);
  EXPECT_EQ(parse_size("64 KiB")->bytes, 65536u);
  EXPECT_EQ(parse_size("7B")->bytes, 7u);
}

TEST(Size, SharesAreOfAWhole) {
  EXPECT_EQ(parse_size("50%")->of(1000), 500u);
  EXPECT_EQ(parse_size("150%")->of(1000), 1500u);
  EXPECT_EQ(parse_size("10MiB")->of(1000), uint64_t{10} << 20);
}

TEST(Size, WhatIsNoSizeIsRefused) {
  for (const char* text :
       {"", "GiB", "-1GiB", "1.2.3GiB", "10 parsecs", "10GiBs", "10g", "0%", "%", "99999999TiB", ".5GiB"}) {
    EXPECT_FALSE(parse_size(text).has_value()) << text;
  }
}

TEST(Size, FormatsForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(uint64_t{24} << 30), "24.0 GiB");
}

}  // namespace
}  // namespace loretoken
