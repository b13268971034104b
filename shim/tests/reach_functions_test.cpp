#include "reach/functions.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

namespace loretoken {
namespace {

// Functions and kernels of a pretended driver: sizes of parameters by handle.
std::map<uintptr_t, std::vector<size_t>> g_functions;
std::map<uintptr_t, std::vector<size_t>> g_kernels;
std::map<uintptr_t, uintptr_t> g_module_of;
int g_queries = 0;

CUresult param(const std::map<uintptr_t, std::vector<size_t>>& known, uintptr_t handle, size_t index, size_t* offset,
               size_t* size) {
  ++g_queries;
  const auto at = known.find(handle);
  if (at == known.end()) return CUDA_ERROR_INVALID_HANDLE;
  if (index >= at->second.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = 0;
  for (size_t i = 0; i < index; ++i) *offset += at->second[i];
  *size = at->second[index];
  return CUDA_SUCCESS;
}

CUresult function_param(CUfunction f, size_t index, size_t* offset, size_t* size) {
  return param(g_functions, reinterpret_cast<uintptr_t>(f), index, offset, size);
}
CUresult kernel_param(CUkernel k, size_t index, size_t* offset, size_t* size) {
  return param(g_kernels, reinterpret_cast<uintptr_t>(k), index, offset, size);
}
CUresult function_module(CUmodule* module, CUfunction f) {
  const auto at = g_module_of.find(reinterpret_cast<uintptr_t>(f));
  if (at == g_module_of.end()) return CUDA_ERROR_INVALID_HANDLE;
  *module = reinterpret_cast<CUmodule>(at->second);
  return CUDA_SUCCESS;
}
CUresult kernel_library(CUlibrary* library, CUkernel k) {
  if (!g_kernels.contains(reinterpret_cast<uintptr_t>(k))) return CUDA_ERROR_INVALID_HANDLE;
  *library = reinterpret_cast<CUlibrary>(0x9000);
  return CUDA_SUCCESS;
}

CUfunction handle(uintptr_t value) {
  return reinterpret_cast<CUfunction>(value);
}

class Functions : public ::testing::Test {
 protected:
  Functions() {
    g_functions.clear();
    g_kernels.clear();
    g_module_of.clear();
    g_queries = 0;
  }
  FunctionTable table_{{function_param, kernel_param, function_module, kernel_library}, 8};
};

TEST_F(Functions, WordsPerParameter) {
  g_functions[0x10] = {4, 8, 12, 128, 2, 7};
  FunctionInfo& info = table_.find(handle(0x10));
  ASSERT_TRUE(info.has_layout);
  ASSERT_EQ(info.slices.size(), 3U);
  EXPECT_EQ(info.slices[0].index, 1U);
  EXPECT_EQ(info.slices[0].words, 1U);
  EXPECT_EQ(info.slices[1].index, 2U);
  EXPECT_EQ(info.slices[1].words, 2U);
  EXPECT_EQ(info.slices[2].index, 3U);
  EXPECT_EQ(info.slices[2].words, 31U);
}

TEST_F(Functions, AskedOnce) {
  g_functions[0x10] = {8, 8};
  g_module_of[0x10] = 0x1;
  table_.find(handle(0x10));
  const int queries = g_queries;
  for (int i = 0; i < 10; ++i) table_.find(handle(0x10));
  EXPECT_EQ(g_queries, queries);
}

TEST_F(Functions, KernelHandlesAnswerThroughTheirOwnQuery) {
  g_kernels[0x20] = {8};
  FunctionInfo& info = table_.find(handle(0x20));
  EXPECT_TRUE(info.has_layout);
  EXPECT_EQ(info.slices.size(), 1U);
  EXPECT_EQ(info.library, reinterpret_cast<CUlibrary>(0x9000));
}

TEST_F(Functions, NoParametersIsALayoutUnknownIsNone) {
  g_functions[0x10] = {};
  EXPECT_TRUE(table_.find(handle(0x10)).has_layout);
  EXPECT_FALSE(table_.find(handle(0x30)).has_layout);
}

TEST_F(Functions, AnUnloadedModulesHandleMayComeBackWithAnotherLayout) {
  g_functions[0x10] = {8};
  g_functions[0x11] = {8};
  g_module_of[0x10] = 0x1;
  g_module_of[0x11] = 0x2;
  table_.find(handle(0x10)).behaviours[0].type = FunctionClass::kStorer;
  FunctionInfo& other = table_.find(handle(0x11));
  table_.module_unloaded(reinterpret_cast<CUmodule>(0x1));
  g_functions[0x10] = {8, 8, 8};
  EXPECT_EQ(table_.find(handle(0x10)).slices.size(), 3U);
  EXPECT_EQ(table_.find(handle(0x10)).behaviours[0].type, FunctionClass::kNew);
  EXPECT_EQ(&table_.find(handle(0x11)), &other);
  table_.library_unloaded(reinterpret_cast<CUlibrary>(0x9000));
  EXPECT_NE(&table_.find(handle(0x11)), &other);
}

TEST_F(Functions, ManyFunctionsFromManyThreads) {
  for (uintptr_t i = 1; i <= 6000; ++i) g_functions[i * 64] = {8};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  std::mutex asking;  // the pretended driver is not thread-safe
  for (uintptr_t i = 1; i <= 6000; ++i) g_module_of[i * 64] = 0x1;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uintptr_t i = 1; i <= 6000; ++i) {
        const uintptr_t which = (i * 31 + static_cast<uintptr_t>(t) * 1500) % 6000 + 1;
        std::lock_guard lock(asking);
        if (table_.find(handle(which * 64)).handle != handle(which * 64)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Functions, FirstLaunchesThenSamplesThatGrowRarer) {
  g_functions[0x10] = {8};
  Behaviour& info = table_.find(handle(0x10)).behaviour(7);
  std::vector<int> scanned;
  for (int launch = 0; launch < 1600; ++launch) {
    if (!table_.wants_scan(info, false)) continue;
    scanned.push_back(launch);
    FunctionTable::scanned(info, {});
  }
  EXPECT_EQ(scanned, (std::vector<int>{0, 1, 8, 16, 32, 64, 128, 256, 512, 1024, 1536}));
  EXPECT_EQ(info.type, FunctionClass::kPlain);
  // One that finds a pointer begins anew.
  FunctionTable::scanned(info, {.pointers = true});
  info.launches = 8;
  EXPECT_TRUE(table_.wants_scan(info, false));
  EXPECT_FALSE(table_.wants_scan(info, false));
}

TEST_F(Functions, NewUntilItsFirstScansHaveReported) {
  g_functions[0x10] = {8};
  Behaviour& info = table_.find(handle(0x10)).behaviour(7);
  for (int launch = 0; launch < 10; ++launch) EXPECT_TRUE(table_.wants_scan(info, false)) << launch;
  EXPECT_FALSE(FunctionTable::awaits_reports(info)) << "nothing is under way";
  info.scans_queued = 10;
  EXPECT_TRUE(FunctionTable::awaits_reports(info));
  FunctionTable::scanned(info, {});
  FunctionTable::scanned(info, {});
  EXPECT_FALSE(FunctionTable::awaits_reports(info));
  EXPECT_FALSE(table_.wants_scan(info, false));
}

TEST_F(Functions, AStorerIsScannedAlwaysUntilItShowsNoneForLong) {
  g_functions[0x10] = {8};
  Behaviour& info = table_.find(handle(0x10)).behaviour(7);
  FunctionTable::scanned(info, {true, true, true});
  EXPECT_EQ(info.type, FunctionClass::kStorer);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(table_.wants_scan(info, false));
    FunctionTable::scanned(info, {true, false, false});
  }
  for (int i = 0; i < 32; ++i) FunctionTable::scanned(info, {});
  EXPECT_EQ(info.type, FunctionClass::kPlain);
}

TEST_F(Functions, WhoCopiesPointersIsScannedWhenItReachesSome) {
  g_functions[0x10] = {8};
  Behaviour& info = table_.find(handle(0x10)).behaviour(7);
  for (int i = 0; i < 2; ++i) {
    table_.wants_scan(info, false);
    FunctionTable::scanned(info, {});
  }
  EXPECT_FALSE(table_.wants_scan(info, false));
  EXPECT_TRUE(table_.wants_scan(info, true)) << "its first launches on pointers are looked at";
  FunctionTable::scanned(info, {true, true, false});
  EXPECT_EQ(info.type, FunctionClass::kPlain);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(table_.wants_scan(info, true));
  int plain = 0;
  for (int i = 0; i < 16; ++i) plain += table_.wants_scan(info, false);
  EXPECT_EQ(plain, 2);
}

TEST_F(Functions, AddressesInOtherPlacesAreAnotherBehaviour) {
  g_functions[0x10] = {8, 8};
  FunctionInfo& info = table_.find(handle(0x10));
  Behaviour& numbers = info.behaviour(7);
  for (int i = 0; i < 2; ++i) {
    table_.wants_scan(numbers, false);
    FunctionTable::scanned(numbers, {});
  }
  EXPECT_FALSE(table_.wants_scan(numbers, false));
  Behaviour& addresses = info.behaviour(9);
  EXPECT_NE(&numbers, &addresses);
  EXPECT_TRUE(table_.wants_scan(addresses, false)) << "as if it were another function";
  FunctionTable::scanned(addresses, {true, true, true});
  EXPECT_TRUE(info.stores());
  EXPECT_FALSE(info.copies());
  EXPECT_EQ(&info.behaviour(7), &numbers);
  EXPECT_EQ(&info.behaviour(9), &addresses);
}

TEST_F(Functions, BehavioursBeyondTheLastShareIt) {
  g_functions[0x10] = {8, 8};
  FunctionInfo& info = table_.find(handle(0x10));
  for (uint64_t places = 1; places < FunctionInfo::kBehaviours; ++places) info.behaviour(places);
  Behaviour& last = info.behaviour(1000);
  EXPECT_EQ(&last, &info.behaviour(1001));
  EXPECT_EQ(&last, &info.behaviours[FunctionInfo::kBehaviours - 1]);
}

}  // namespace
}  // namespace loretoken
