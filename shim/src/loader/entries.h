// The table as the doors see it.
#pragma once

#include <span>
#include <string_view>

namespace loretoken::loader {

struct Hooked {
  std::string_view name;
  void* hook;       // what the program is given
  void* (*real)();  // the real function's address, nullptr if the driver lacks it
};

struct Passed {
  std::string_view name;
  void* (*real)();
};

std::span<const Hooked> hooked_functions();  // sorted by name
std::span<const Passed> passed_functions();

}  // namespace loretoken::loader
