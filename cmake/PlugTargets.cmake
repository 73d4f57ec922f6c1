# plug_target(<target>): what every target of this project has in common. The warnings stay private
# to the target: a project that uses plug sets its own.
function(plug_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    COMPILE_WARNING_AS_ERROR ${PLUG_WERROR})
endfunction()
