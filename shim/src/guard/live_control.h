// What a control block means for policy(): a field that states nothing leaves the setting.
#pragma once

#include "guard/policy.h"
#include "loretoken/abi.h"

namespace loretoken {

// Values that this version does not know are left out.
void apply(const loretoken_control& control, const LivePolicy& from_settings, LivePolicy* live);

// The mode that the block asks for, never less strict than the setting's.
Mode mode_of(const loretoken_control& control, Mode setting);

}  // namespace loretoken
