# LORETOKEN_SANITIZE is set by the presets: "" | "address,undefined" | "thread".
set(LORETOKEN_SANITIZE "" CACHE STRING "Sanitizers for every target of the build")
if(LORETOKEN_SANITIZE)
  add_compile_options(-fsanitize=${LORETOKEN_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${LORETOKEN_SANITIZE})
endif()
