// Every way to come by an address, and what is learned of it.
#include "reach_driver_fixture.h"

namespace loretoken {
namespace {

TEST_F(ReachDriver, StrictCheckFaultsOnWhatIsNotReached) {
  const CUdeviceptr hidden = allocate();
  const CUdeviceptr other = allocate();
  const CUdeviceptr disguised = ~hidden;
  launch("reach_write", other, disguised);
  EXPECT_EQ(first_word(other), disguised);
  std::vector<uint64_t> host = {0};
  EXPECT_EQ(driver().cuMemcpyDtoH_v2(host.data(), hidden, 8), CUDA_ERROR_INVALID_VALUE)
      << "the allocation stays mapped: this test suite would see nothing";
}

TEST_F(ReachDriver, Parameters) {
  const CUdeviceptr target = allocate();
  allocate();
  launch("reach_write", target, uint64_t{7});
  EXPECT_EQ(first_word(target), 7U);
}

TEST_F(ReachDriver, StructParameters) {
  struct {
    uint32_t count, between;
    CUdeviceptr target;
    uint64_t value;
  } packet = {1, 2, allocate(), 8};
  allocate();
  launch("reach_packet", packet);
  EXPECT_EQ(first_word(packet.target), 8U);
}

TEST_F(ReachDriver, ExtraParameters) {
  struct {
    CUdeviceptr target;
    uint64_t value;
  } buffer = {allocate(), 9};
  allocate();
  size_t bytes = sizeof(buffer);
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  EXPECT_EQ(hooks::cuLaunchKernel(function("reach_write"), 1, 1, 1, 1, 1, 1, 0, stream_, nullptr, extra, false),
            CUDA_SUCCESS);
  EXPECT_EQ(first_word(buffer.target), 9U);
}

TEST_F(ReachDriver, PointersThatAKernelStored) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  launch("reach_store", holder, uint32_t{1000}, target);
  launch("reach_through", holder, uint32_t{1000}, uint64_t{11});
  EXPECT_EQ(first_word(target), 11U);
}

TEST_F(ReachDriver, PointersThatAKernelStoresLaterToo) {
  const CUdeviceptr holder = allocate();
  for (uint32_t i = 0; i < 20; ++i) {
    const CUdeviceptr target = allocate();
    launch("reach_store", holder, i * 100, target);
    launch("reach_through", holder, i * 100, uint64_t{i + 1});
    EXPECT_EQ(first_word(target), i + 1U);
  }
}

TEST_F(ReachDriver, PointersCopiedFromTheHost) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(holder + 24, &target, sizeof(target), false), CUDA_SUCCESS);
  launch("reach_through", holder, uint32_t{3}, uint64_t{12});
  EXPECT_EQ(first_word(target), 12U);
}

TEST_F(ReachDriver, PointersInALargeCopyFromTheHost) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  std::vector<uint64_t> host(kBytes / 8, 3);
  host[400000] = target;
  EXPECT_EQ(hooks::cuMemcpyHtoDAsync_v2(holder, host.data(), kBytes, stream_, false), CUDA_SUCCESS);
  launch("reach_through", holder, uint32_t{400000}, uint64_t{13});
  EXPECT_EQ(first_word(target), 13U);
}

TEST_F(ReachDriver, PointersToPointers) {
  const CUdeviceptr outer = allocate();
  const CUdeviceptr inner = allocate();
  const CUdeviceptr target = allocate();
  launch("reach_store", inner, uint32_t{0}, target);
  launch("reach_store", outer, uint32_t{0}, inner);
  launch("reach_through_two", outer, uint64_t{14});
  EXPECT_EQ(first_word(target), 14U);
}

TEST_F(ReachDriver, PointersInPinnedHostMemory) {
  const CUdeviceptr target = allocate();
  void* pinned = nullptr;
  ASSERT_EQ(hooks::cuMemHostAlloc(&pinned, 4096, CU_MEMHOSTALLOC_DEVICEMAP), CUDA_SUCCESS);
  static_cast<CUdeviceptr*>(pinned)[5] = target;
  allocate();
  launch("reach_through", pinned, uint32_t{5}, uint64_t{15});
  EXPECT_EQ(first_word(target), 15U);
  EXPECT_EQ(hooks::cuMemFreeHost(pinned), CUDA_SUCCESS);
}

TEST_F(ReachDriver, CopiesFromAPinnedBufferAreScannedUntilItIsKnownAndWhenItIsSuspect) {
  const CUdeviceptr to = allocate();
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  void* pinned = nullptr;
  ASSERT_EQ(hooks::cuMemHostAlloc(&pinned, 4096, 0), CUDA_SUCCESS);
  const auto scans_behind = [&](int copies) {
    const uint64_t before = counters(0).scans.load();
    for (int i = 0; i < copies; ++i) {
      EXPECT_EQ(hooks::cuMemcpyHtoDAsync_v2(to, pinned, 4096, stream_, false), CUDA_SUCCESS);
      EXPECT_EQ(driver().cuStreamSynchronize(stream_), CUDA_SUCCESS);
      reach_core().poll();
    }
    return counters(0).scans.load() - before;
  };
  EXPECT_EQ(scans_behind(2), 2U);
  EXPECT_EQ(scans_behind(20), 0U);
  // Addresses come into it by a copy that the CPU does not see the end of.
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(holder, &target, sizeof(target), false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemcpyDtoHAsync_v2(pinned, holder, 4096, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(scans_behind(3), 3U);
  launch("reach_through", to, uint32_t{0}, uint64_t{18});
  EXPECT_EQ(first_word(target), 18U);
  EXPECT_EQ(hooks::cuMemFreeHost(pinned), CUDA_SUCCESS);
}

TEST_F(ReachDriver, PointersCopiedOnTheDevice) {
  const CUdeviceptr first = allocate();
  const CUdeviceptr second = allocate();
  const CUdeviceptr target = allocate();
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(first, &target, sizeof(target), false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemcpyDtoDAsync_v2(second, first, 64, stream_, false), CUDA_SUCCESS);
  launch("reach_through", second, uint32_t{0}, uint64_t{16});
  EXPECT_EQ(first_word(target), 16U);
}

TEST_F(ReachDriver, PointersCopiedByAKernelThatCopiedOtherThingsBefore) {
  const CUdeviceptr plain = allocate();
  const CUdeviceptr first = allocate();
  const CUdeviceptr second = allocate();
  const CUdeviceptr target = allocate();
  for (int i = 0; i < 10; ++i) launch("reach_copy", second, plain, uint32_t{8});
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(first, &target, sizeof(target), false), CUDA_SUCCESS);
  launch("reach_copy", second, first, uint32_t{8});
  launch("reach_through", second, uint32_t{0}, uint64_t{17});
  EXPECT_EQ(first_word(target), 17U);
}

TEST_F(ReachDriver, PointersInModuleGlobalsPinTheirTargets) {
  const CUdeviceptr target = allocate();
  CUdeviceptr global = 0;
  size_t bytes = 0;
  ASSERT_EQ(driver().cuModuleGetGlobal_v2(&global, &bytes, module_, "reach_global"), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(global, &target, sizeof(target), false), CUDA_SUCCESS);
  EXPECT_NE(unit_at(target)->pins & (1u << static_cast<int>(Pin::kPointerStored)), 0U);
  allocate();  // unmaps the target, were it not pinned
  launch("reach_by_global", uint64_t{18});
  EXPECT_EQ(first_word(target), 18U);
}

TEST_F(ReachDriver, AFreedHoldersAddressHoldsNothingForTheNextOwner) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(holder, &target, sizeof(target), false), CUDA_SUCCESS);
  EXPECT_NE(unit_at(holder)->flags & kFlagHoldsEdges, 0);
  Unit* unit = unit_at(holder);
  EXPECT_EQ(hooks::cuMemFree_v2(holder), CUDA_SUCCESS);
  EXPECT_EQ(unit->flags & kFlagHoldsEdges, 0);
}

// arange: given numbers it writes numbers, given an address as its start it writes addresses.
TEST_F(ReachDriver, AKernelThatWroteNumbersIsGivenAnAddress) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  for (uint64_t number = 1; number < 6; ++number) launch("reach_write", holder, number);
  launch("reach_write", holder, target);
  launch("reach_through", holder, uint32_t{0}, uint64_t{23});
  EXPECT_EQ(first_word(target), 23U);
}

// What it read when it was looked at does not excuse what it stores of its own later.
TEST_F(ReachDriver, AKernelThatReachedPointersWhenItStoredItsOwn) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr first = allocate();
  const CUdeviceptr second = allocate();
  const CUdeviceptr plain = allocate();
  for (int i = 0; i < 4; ++i) launch("reach_store", holder, uint32_t{0}, first);
  for (int i = 0; i < 4; ++i) launch("reach_store", plain, uint32_t{0}, second);
  launch("reach_through", plain, uint32_t{0}, uint64_t{24});
  EXPECT_EQ(first_word(second), 24U);
}

class ReachDriverStrictPointers : public ReachDriver {
 protected:
  void SetUp() override {
    setenv("LORETOKEN_POINTERS", "strict", 1);
    ReachDriver::SetUp();
  }
};

// A kernel that wrote numbers and one day writes an address: only scans at every launch see that.
TEST_F(ReachDriverStrictPointers, AKernelThatNeverStoredPointersBefore) {
  struct {
    uint32_t count, between;
    CUdeviceptr target;
    uint64_t value;
  } packet = {1, 2, allocate(), 5};
  const CUdeviceptr target = allocate();
  for (int i = 0; i < 5; ++i) launch("reach_packet", packet);
  packet.value = target;
  launch("reach_packet", packet);
  launch("reach_through", packet.target, uint32_t{0}, uint64_t{21});
  EXPECT_EQ(first_word(target), 21U);
}

TEST_F(ReachDriverStrictPointers, PointersToPointers) {
  const CUdeviceptr outer = allocate();
  const CUdeviceptr inner = allocate();
  const CUdeviceptr target = allocate();
  launch("reach_store", inner, uint32_t{0}, target);
  launch("reach_store", outer, uint32_t{0}, inner);
  launch("reach_through_two", outer, uint64_t{22});
  EXPECT_EQ(first_word(target), 22U);
}

TEST_F(ReachDriver, KernelsAreClassed) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  for (int i = 0; i < 4; ++i) {
    launch("reach_store", holder, uint32_t{0}, target);
    launch("reach_write", target, uint64_t{1});
  }
  EXPECT_EQ(first_word(target), 1U);
  reach_core().poll();
  FunctionTable& functions = reach_core().functions;
  EXPECT_EQ(functions.find(function("reach_store")).behaviours[0].type, FunctionClass::kStorer);
  EXPECT_EQ(functions.find(function("reach_write")).behaviours[0].type, FunctionClass::kPlain);
  EXPECT_EQ(counters(0).pointer_kernels.load(), 1U);
  EXPECT_EQ(counters(0).edges_live.load(), 1U);
}

}  // namespace
}  // namespace loretoken
