# What a build of plug can be told, and the settings that every target of this build shares.
# As a subproject plug builds its library alone and leaves the parent's settings as they are.

find_package(benchmark QUIET)
if(PROJECT_IS_TOP_LEVEL AND benchmark_FOUND)
  set(plug_bench_default ON)
else()
  set(plug_bench_default OFF)
endif()

option(PLUG_BUILD_EXAMPLES "Build the programs in examples/" ${PROJECT_IS_TOP_LEVEL})
option(PLUG_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(PLUG_BUILD_BENCH "Build the benchmarks (Google Benchmark)" ${plug_bench_default})
option(PLUG_URING "Let fibers run with io_uring, where liburing 2.3 is installed" ON)
option(PLUG_WERROR "Treat compiler warnings as errors" OFF)
set(PLUG_SANITIZE "" CACHE STRING "What -fsanitize= takes: address,undefined or thread")

# For CPython's tests: Debian's python3-dev, or the headers of whichever Python comes first. What a
# sanitizer has built needs an interpreter that loads the sanitizer: ask for it by name.
find_package(Python3 QUIET COMPONENTS Interpreter Development.Module)
if(PLUG_BUILD_TESTS AND Python3_Development.Module_FOUND AND NOT PLUG_SANITIZE)
  set(plug_python_default ON)
else()
  set(plug_python_default OFF)
endif()
option(PLUG_BUILD_PYTHON "Build CPython's module _socket on plug (python/)" ${plug_python_default})

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
  endif()
  find_program(PLUG_CCACHE ccache)
  mark_as_advanced(PLUG_CCACHE)
  if(PLUG_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${PLUG_CCACHE}")
  endif()
endif()

if(PLUG_SANITIZE)
  add_compile_options(-fsanitize=${PLUG_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # g++ binds the reference of catch (const abi::__forced_unwind&), a thread's end, to nothing.
  if(PLUG_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=null)
  endif()
  # With a sanitizer, g++ takes more for uninitialized than is.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
  add_link_options(-fsanitize=${PLUG_SANITIZE})
  add_compile_definitions(PLUG_SANITIZED)
endif()

# In builds for development, what runs once is compiled quickly: with line numbers, but neither
# variables for a debugger nor the last of the speed. Called by its folder.
macro(plug_compile_quickly)
  add_compile_options("$<$<CONFIG:RelWithDebInfo,None>:-O1;-g1>")
endmacro()
