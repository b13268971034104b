// The per-thread default stream forms.
#include "api.h"

using namespace loretoken::sim;

extern "C" {

#include "variants.inc"

}  // extern "C"
