#include "base/size.h"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <string>

namespace loretoken {
namespace {

// A line of size_cases.txt: "text" expected
TEST(Size, ReadAsTheSharedCasesSay) {
  std::ifstream cases(LORETOKEN_SIZE_CASES);
  ASSERT_TRUE(cases) << LORETOKEN_SIZE_CASES;
  int count = 0;
  for (std::string line; std::getline(cases, line);) {
    if (line.empty() || line[0] != '"') continue;
    const size_t end = line.rfind('"');
    const std::string text = line.substr(1, end - 1);
    const std::string expected = line.substr(end + 2);
    const std::optional<Size> size = parse_size(text);
    ASSERT_EQ(size.has_value(), expected != "-") << line;
    if (size && expected.back() == '%') {
      EXPECT_DOUBLE_EQ(size->percent, std::stod(expected)) << line;
    } else if (size) {
      EXPECT_EQ(size->percent, 0) << line;
      EXPECT_EQ(size->bytes, std::stoull(expected)) << line;
    }
    ++count;
  }
  EXPECT_GT(count, 40);
}

TEST(Size, SharesAreOfAWhole) {
  EXPECT_EQ(parse_size("50%")->of(1000), 500u);
  EXPECT_EQ(parse_size("150%")->of(1000), 1500u);
  EXPECT_EQ(parse_size("10MiB")->of(1000), uint64_t{10} << 20);
}

TEST(Size, FormatsForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(uint64_t{24} << 30), "24.0 GiB");
}

}  // namespace
}  // namespace loretoken
