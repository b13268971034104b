#include "base/settings.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace loretoken {
namespace {

std::map<std::string, std::string> g_environment;

const char* look_up(const char* name) {
  const auto at = g_environment.find(name);
  return at == g_environment.end() ? nullptr : at->second.c_str();
}

Settings read(std::map<std::string, std::string> environment, std::string* said = nullptr) {
  g_environment = std::move(environment);
  testing::internal::CaptureStderr();
  const Settings result = read_settings(look_up);
  const std::string text = testing::internal::GetCapturedStderr();
  if (said != nullptr) *said = text;
  return result;
}

TEST(Settings, NothingSetGivesTheDefaultsWithoutAWord) {
  std::string said;
  const Settings settings = read({}, &said);
  EXPECT_EQ(said, "");
  EXPECT_EQ(settings.mode, Mode::kFull);
  EXPECT_FALSE(settings.limit.given);
  EXPECT_EQ(settings.virtual_size.of(uint64_t{10} << 30), uint64_t{15} << 30);
  EXPECT_EQ(settings.verify, Verify::kAlways);
  EXPECT_EQ(settings.pointers, Pointers::kLearned);
}

TEST(Settings, ValuesAreRead) {
  const Settings settings = read({{"LORETOKEN_MODE", "hold"},
                                  {"LORETOKEN_LIMIT", "24GiB"},
                                  {"LORETOKEN_VIRTUAL", "48GB"},
                                  {"LORETOKEN_CHECK", "strict"},
                                  {"LORETOKEN_TELEMETRY", "/run/x"}});
  EXPECT_EQ(settings.mode, Mode::kHold);
  EXPECT_EQ(settings.limit.of(1), uint64_t{24} << 30);
  EXPECT_EQ(settings.virtual_size.of(1), uint64_t{48'000'000'000});
  EXPECT_EQ(settings.check, Check::kStrict);
  EXPECT_EQ(settings.telemetry, "/run/x");
}

TEST(Settings, AWrongValueIsNamedWithWhatIsAllowedAndTheDefaultIsUsed) {
  std::string said;
  const Settings settings = read({{"LORETOKEN_VERIFY", "sometimes"}}, &said);
  EXPECT_EQ(settings.verify, Verify::kAlways);
  EXPECT_NE(said.find("LORETOKEN_VERIFY=\"sometimes\" is not allowed (allowed: always, sample or off); using always"),
            std::string::npos)
      << said;
}

TEST(Settings, AWrongSizeIsNamed) {
  std::string said;
  const Settings settings = read({{"LORETOKEN_LIMIT", "much"}}, &said);
  EXPECT_FALSE(settings.limit.given);
  EXPECT_NE(said.find("LORETOKEN_LIMIT=\"much\""), std::string::npos) << said;
}

TEST(Settings, LogLevelDecidesWhatIsSaid) {
  std::string said;
  read({{"LORETOKEN_LOG", "error"}, {"LORETOKEN_MODE", "fast"}}, &said);
  EXPECT_EQ(said, "");
}

TEST(Settings, HostMemoryOfZeroIsGiven) {
  const Settings settings = read({{"LORETOKEN_HOST", "0"}});
  EXPECT_TRUE(settings.host_limit.given);
  EXPECT_EQ(settings.host_limit.of(uint64_t{1} << 40), 0u);
}

}  // namespace
}  // namespace loretoken
