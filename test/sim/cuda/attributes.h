// Device attributes as an H200 answers them. Attributes that it answers with 0 are not listed.
#ifndef LORETOKEN_SIM_ATTRIBUTES_H
#define LORETOKEN_SIM_ATTRIBUTES_H

#include <cuda.h>

namespace loretoken::sim {

int device_attribute(CUdevice_attribute attribute);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_ATTRIBUTES_H
