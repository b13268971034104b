// What the simulator does not do: the functions exist, as in a driver, and refuse.
#include "api.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

using namespace loretoken::sim;

extern "C" {

#include "absent.inc"

}  // extern "C"
