// Who may access a device's memory. Peer access that a program enables does not cover VMM memory, so every mapping gets
// an entry per peer, and a peer that comes later gets one on everything that is mapped.
#pragma once

#include <cuda.h>

#include <vector>

namespace loretoken {

// Read and write for the device itself and every peer that was let in.
std::vector<CUmemAccessDesc> access_for(int ordinal);
// Lets `peer` access, or no longer access, the memory of `owner`.
void add_peer(int owner, int peer);
void remove_peer(int owner, int peer);

}  // namespace loretoken
