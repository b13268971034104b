# loretoken_add_kernels(<target> <source.cu>...)
#
# Builds one kernel module from CUDA sources, all of them as one translation unit:
#   ${CMAKE_BINARY_DIR}/lib/sim/<target>_sim.so   host object for machines without a GPU, by the C++ compiler
#   ${CMAKE_BINARY_DIR}/lib/<target>.fatbin       for GPUs, by nvcc, when LORETOKEN_NVCC names one and unless
#                                                 LORETOKEN_GPU_KERNELS is off: minutes for what a test build never loads
# Targets: <target>_sim, <target>_fatbin (if nvcc) and <target>, which builds both.
# Host objects are compiled without sanitizers: their threads switch stacks.
get_filename_component(LORETOKEN_KERNELS_DIR ${CMAKE_CURRENT_LIST_DIR}/../kernels ABSOLUTE)
set(LORETOKEN_NVCC_FLAGS -std=c++20 -O3 --threads 2
    -gencode arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_86,code=sm_86
    -gencode arch=compute_89,code=sm_89 -gencode arch=compute_90,code=sm_90
    -gencode arch=compute_100,code=[sm_100,compute_100]
    CACHE STRING "nvcc flags for kernel modules")

option(LORETOKEN_GPU_KERNELS "Build kernels for GPUs too, where nvcc is there" ON)

function(loretoken_host_options target)
  target_compile_options(${target} PRIVATE -O3 -march=x86-64-v2 -mtls-dialect=gnu2 -fno-sanitize=all -fvisibility=hidden
                         -fno-gnu-unique -fno-strict-aliasing -Wno-unknown-pragmas)
  target_link_libraries(${target} PRIVATE loretoken_warnings)
endfunction()

function(loretoken_add_kernels target)
  set(unit ${CMAKE_CURRENT_BINARY_DIR}/${target}_unit)
  set(text "")
  set(sources "")
  foreach(source ${ARGN})
    get_filename_component(path ${source} ABSOLUTE)
    list(APPEND sources ${path})
    string(APPEND text "#include \"${path}\"\n")
  endforeach()
  file(CONFIGURE OUTPUT ${unit}.cpp CONTENT "${text}" @ONLY)
  file(CONFIGURE OUTPUT ${unit}.cu CONTENT "${text}" @ONLY)

  set(host ${LORETOKEN_KERNELS_DIR}/host)
  if(NOT TARGET loretoken_host_layer)
    add_library(loretoken_host_layer OBJECT ${host}/host_fiber.cpp ${host}/host_module.cpp ${host}/host_stack.cpp)
    loretoken_host_options(loretoken_host_layer)
  endif()
  add_library(${target}_sim MODULE ${unit}.cpp $<TARGET_OBJECTS:loretoken_host_layer>)
  set_source_files_properties(${unit}.cpp PROPERTIES COMPILE_OPTIONS "-include;${host}/cuda_host.h"
                              OBJECT_DEPENDS "${sources}")
  target_include_directories(${target}_sim PRIVATE ${LORETOKEN_KERNELS_DIR}/include ${host} ${CMAKE_CURRENT_SOURCE_DIR})
  loretoken_host_options(${target}_sim)
  target_link_options(${target}_sim PRIVATE -fno-sanitize=all -Wl,-z,defs)
  set_target_properties(${target}_sim PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/sim)

  add_custom_target(${target} ALL DEPENDS ${target}_sim)
  if(LORETOKEN_NVCC AND LORETOKEN_GPU_KERNELS)
    set(fatbin ${CMAKE_BINARY_DIR}/lib/${target}.fatbin)
    add_custom_command(OUTPUT ${fatbin}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/lib
      COMMAND ${LORETOKEN_NVCC} ${LORETOKEN_NVCC_FLAGS} -I ${LORETOKEN_KERNELS_DIR}/include
              -I ${CMAKE_CURRENT_SOURCE_DIR} -fatbin -MD -MF ${fatbin}.d -o ${fatbin} ${unit}.cu
      DEPENDS ${unit}.cu ${sources} DEPFILE ${fatbin}.d VERBATIM COMMENT "nvcc ${target}.fatbin")
    add_custom_target(${target}_fatbin DEPENDS ${fatbin})
    add_dependencies(${target} ${target}_fatbin)
  endif()
endfunction()
