# One interface target that every C++ target of the project links: warnings are errors.
add_library(loretoken_warnings INTERFACE)
target_compile_options(loretoken_warnings INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
