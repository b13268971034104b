# LORETOKEN_SANITIZE is set by the presets: "" | "address,undefined" | "thread".
set(LORETOKEN_SANITIZE "" CACHE STRING "Sanitizers for every target of the build")
if(LORETOKEN_SANITIZE)
  add_compile_options(-fsanitize=${LORETOKEN_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${LORETOKEN_SANITIZE})
  if(LORETOKEN_SANITIZE MATCHES "undefined")
    # What is found ends the program. Callers of a C interface may pass any number for an enum.
    add_compile_options(-fno-sanitize-recover=all -fno-sanitize=enum)
  endif()
endif()

if(LORETOKEN_SANITIZE MATCHES "thread")
  # Instrumented code takes a third less to compile than at -O2, and its tests spend their time elsewhere.
  string(REPLACE "-O2" "-O1" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
endif()

# What stands before a sanitized library in LD_PRELOAD: its run-time library, which has to be there first.
set(LORETOKEN_PRELOAD_FIRST "")
if(LORETOKEN_SANITIZE)
  set(runtime libasan.so)
  if(LORETOKEN_SANITIZE MATCHES "thread")
    set(runtime libtsan.so)
  endif()
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${runtime} OUTPUT_VARIABLE runtime
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(LORETOKEN_PRELOAD_FIRST "${runtime}:")
endif()
