// Which units to pack next. A seam: the mover asks, the policy orders; it holds no state of the mover's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "memory/unit.h"

namespace loretoken {

// Candidates are raw, unpinned, unheld. Returns those to pack, first to go first, until their bytes reach `bytes` or
// `most` are chosen. Least recent reach first; among equals in age (same tick) the larger one.
std::vector<Unit*> choose_victims(std::span<Unit* const> candidates, uint64_t bytes, size_t most);

}  // namespace loretoken
