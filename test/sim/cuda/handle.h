// Physical handles of cuMemCreate.
#ifndef LORETOKEN_SIM_HANDLE_H
#define LORETOKEN_SIM_HANDLE_H

#include "state.h"

namespace loretoken::sim {

int handle_fd(const Handle& handle);
// Frees the memory when neither a reference nor a mapping is left.
void drop_if_unused(const std::shared_ptr<Handle>& handle);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_HANDLE_H
