# What keeps builds short. A build of everything costs mostly the same headers again and again.
#
#   loretoken_precompile(<target> [cuda])   the standard library's headers once per target, and cuda.h; many sources at a
#                                           time, so names in unnamed namespaces are unique within a target
#   loretoken_test_code(<target>… [together])  the tests' headers once for all tests; optimised for compile time.
#                                           together: many sources at a time here too
#
# Sources keep their own includes: they compile without this file too.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")  # -g1: lines and functions, enough for a backtrace
set(CMAKE_CXX_FLAGS_DEBUG "-g1")

set(_batch 20)
set(_standard_headers <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <cstdio> <cstdlib> <cstring>
    <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view> <thread> <unordered_map> <utility>
    <vector>)

function(loretoken_precompile target)
  set(headers ${_standard_headers})
  if("cuda" IN_LIST ARGN)
    list(APPEND headers <cuda.h>)
  endif()
  target_precompile_headers(${target} PRIVATE ${headers})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${_batch})
  # GCC 12 takes an atomic of an object it cannot see for one of no size, now and then.
  target_compile_options(${target} PRIVATE -Wno-stringop-overflow)
endfunction()

# GCC 12 takes std::string for out of bounds at -O1.
set(_test_options $<$<CONFIG:RelWithDebInfo>:-O1> -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)

function(loretoken_test_code)
  if(NOT TARGET loretoken_test_headers)
    # An executable, because its code is compiled as theirs is.
    set(stub ${CMAKE_BINARY_DIR}/test_headers.cpp)
    file(CONFIGURE OUTPUT ${stub} CONTENT "int main() {}\n" @ONLY)
    add_executable(loretoken_test_headers EXCLUDE_FROM_ALL ${stub})
    target_link_libraries(loretoken_test_headers PRIVATE loretoken_warnings GTest::gtest)
    target_compile_options(loretoken_test_headers PRIVATE ${_test_options})
    target_precompile_headers(loretoken_test_headers PRIVATE <gtest/gtest.h> <fstream> <sstream> ${_standard_headers})
  endif()
  set(targets ${ARGN})
  list(REMOVE_ITEM targets together)
  foreach(target ${targets})
    target_compile_options(${target} PRIVATE ${_test_options})
    target_precompile_headers(${target} REUSE_FROM loretoken_test_headers)
    if("together" IN_LIST ARGN)
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${_batch})
    endif()
  endforeach()
endfunction()
