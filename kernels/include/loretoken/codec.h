// Packing and unpacking of allocations on the GPU: the host side of the codec kernels.
//
// Every call queues kernels on the caller's stream and returns; nothing waits, nothing is allocated. Figures come back
// through `Result`, which the kernels write into pinned host memory. The driver is reached only through `DriverApi`, so
// that a shim can hand in the real entry points; nothing links against libcuda.
//
//   pack an allocation:  analyse → (Result.blob_bytes says what is needed) → pack → verify → release the raw memory
//   bring it back:       unpack
//   was it written?      unchanged → Result.changed_blocks == 0
//
// Thread safety: calls of one Codec may come from several threads at once. A Codec belongs to one context, which must
// be current.
#ifndef LORETOKEN_CODEC_H
#define LORETOKEN_CODEC_H

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <span>

#include "loretoken/blob.h"
#include "loretoken/codec_layout.h"

namespace loretoken {

// The driver calls a Codec needs. All must be set.
struct DriverApi {
  CUresult (*cuModuleLoadData)(CUmodule*, const void*);
  CUresult (*cuModuleUnload)(CUmodule);
  CUresult (*cuModuleGetFunction)(CUfunction*, CUmodule, const char*);
  CUresult (*cuFuncSetAttribute)(CUfunction, CUfunction_attribute, int);
  CUresult (*cuLaunchKernel)(CUfunction, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                             unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream, void** params,
                             void** extra);
};

// One allocation. All addresses are device-visible and 16-byte aligned. What a call does not use may be 0.
struct Job {
  CUdeviceptr raw;         // the allocation; analyse, pack, verify, unchanged read it, unpack writes it
  uint64_t raw_bytes;      // 1 … 2^40
  CUdeviceptr blob;        // pack writes it; verify, unpack, unchanged read it
  uint64_t blob_capacity;  // bytes at `blob` that may be read or written
  // Device memory of this job alone while its call is in flight: plan_bytes(raw_bytes) for analyse, pack and
  // pack_direct, kScratchBytes for the other calls. The first kScratchBytes must be zero before the first use; every
  // call leaves them zero. The rest may hold anything. pack needs the plan as analyse left it.
  CUdeviceptr plan;
  CUdeviceptr result;  // a Result in pinned host memory; 0: no figures wanted
};

// A search for stored pointers. Words of 8 bytes at every 4-byte step of the ranges are looked at.
struct ScanJob {
  std::span<const ScanRange> ranges;    // base and bytes multiples of 4
  std::span<const ScanWindow> windows;  // 1 … kScanWindows; an address w counts when lo <= w <= hi
  CUdeviceptr table;                    // scan_table_bytes(table_slots) of device memory: zero before the first use
  uint32_t table_slots;                 // a power of two, at least 4 times the records expected
  uint32_t epoch;    // 1 … kScanEpochs, another one for each scan of this table; zero the table before reuse
  CUdeviceptr list;  // a ScanList in pinned host memory with room for list_capacity records
  uint32_t list_capacity;
};

class Codec {
 public:
  struct Loaded {
    std::unique_ptr<Codec> codec;  // null on failure
    CUresult error;
    const char* failed;  // the driver call or kernel name that failed, or null
  };
  // Loads the module into the current context. `image`: fatbin, cubin or host object (kernels/host/host_module.h).
  static Loaded load(const DriverApi& api, const void* image);
  ~Codec();
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  // Each returns the first error of a launch; then some of the jobs may have been queued.

  // Chooses the smallest of the allowed codecs for each block and lays the blob out in the plan.
  // Result: blob_bytes, codec_in, codec_out. kRaw is always allowed.
  CUresult analyse(CUstream stream, std::span<const Job> jobs, CodecMask allowed) const;
  // Writes the blob that the plan describes. Result as analyse. status kTooSmall: blob_bytes > blob_capacity, nothing
  // was written; kSourceChanged: the raw bytes are no longer those that were analysed, the blob is unusable.
  CUresult pack(CUstream stream, std::span<const Job> jobs) const;
  // analyse and pack in one pass over the raw bytes, for a caller who has room without knowing the size: about half
  // as much traffic. status kTooSmall: blob_capacity did not suffice, the blob is unusable; blob_bytes says what would
  // have.
  CUresult pack_direct(CUstream stream, std::span<const Job> jobs, CodecMask allowed) const;
  // Decodes the blob and compares every bit with raw, writing neither. Result: bad_blocks, first_bad_block; status kOk
  // means the raw bytes can be let go.
  CUresult verify(CUstream stream, std::span<const Job> jobs) const;
  // Writes the raw bytes, each once. status kBadBlob: the header is damaged, what was written is not to be trusted;
  // kBadBlock: the blocks counted in bad_blocks are malformed (left unwritten) or failed their checksum (written as
  // decoded).
  CUresult unpack(CUstream stream, std::span<const Job> jobs) const;
  // Compares the raw bytes' checksums with the blob's. Result: changed_blocks.
  CUresult unchanged(CUstream stream, std::span<const Job> jobs) const;
  // Appends one record for each distinct (range index, 2 MiB page of the target) to the list.
  CUresult scan(CUstream stream, const ScanJob& job) const;

  static uint64_t plan_bytes(uint64_t raw_bytes);
  static uint64_t max_blob_bytes(uint64_t raw_bytes) { return loretoken::max_blob_bytes(raw_bytes); }
  // Room that always suffices for pack_direct, which keeps a place for a code table.
  static uint64_t max_direct_bytes(uint64_t raw_bytes) {
    return align_payload(max_blob_bytes(raw_bytes) + sizeof(CodeTable));
  }
  static uint64_t scan_table_bytes(uint32_t slots) { return sizeof(ScanTableHeader) + 8ull * slots; }

 private:
  struct Functions;
  explicit Codec(const DriverApi& api);
  CUresult launch(CUstream stream, CUfunction function, uint32_t grid_x, uint32_t grid_y, uint32_t threads,
                  uint32_t shared_bytes, void* params) const;
  CUresult launch_tables(CUstream stream, CodecMask allowed, void* params, uint32_t count) const;
  CUresult launch_finish(CUstream stream, void* jobs, uint32_t count, uint32_t direct) const;
  template <class Launch>
  static CUresult for_each_batch(std::span<const Job> jobs, CodecMask allowed, Launch&& launch);

  DriverApi api_;
  CUmodule module_ = nullptr;
  std::unique_ptr<Functions> functions_;
};

}  // namespace loretoken

#endif  // LORETOKEN_CODEC_H
