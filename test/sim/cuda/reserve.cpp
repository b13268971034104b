#include "reserve.h"

#include <algorithm>

#include "physical.h"

namespace loretoken::sim {

bool Reserve::hold(uint64_t bytes) {
  if (held_ + bytes > charged_) {
    const uint64_t missing = held_ + bytes - charged_, chunks = round_up(missing, chunk_);
    const uint64_t taken = memory_->charge(chunks) ? chunks : memory_->charge(missing) ? missing : 0;
    if (!taken) return false;
    charged_ += taken;
  }
  held_ += bytes;
  return true;
}

void Reserve::trim(uint64_t keep) {
  const uint64_t target = std::max(round_up(held_, chunk_), keep / chunk_ * chunk_);
  if (charged_ <= target) return;
  memory_->uncharge(charged_ - target);
  charged_ = target;
}

}  // namespace loretoken::sim
