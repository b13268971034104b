// The C library's own dlsym. The shim exports a dlsym, so no code of the shim calls dlsym by name.
#pragma once

namespace loretoken {

using DlsymFunction = void* (*)(void* handle, const char* name);

// Never nullptr in a process with a dynamic linker of glibc ≥ 2.17. Lock-free; cost: one load.
DlsymFunction real_dlsym();

}  // namespace loretoken
