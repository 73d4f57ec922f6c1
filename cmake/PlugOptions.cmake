# The options of a build of plug, and the settings that all targets of the build share. As a
# subproject, plug builds only its library and does not change the parent's settings.

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
option(PLUG_FAULT_INJECTION "Let tests make operations of fibers fail" OFF)
option(PLUG_WERROR "Treat compiler warnings as errors" OFF)
set(PLUG_SANITIZE "" CACHE STRING "What -fsanitize= takes: address,undefined or thread")

# CPython's tests need the headers of Python (Debian: python3-dev). This finds the first Python of
# the system. With a sanitizer, the module needs an interpreter that loads the sanitizer, so a
# sanitizer build has the module only if PLUG_BUILD_PYTHON asks for it.
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
  # In catch (const abi::__forced_unwind&), through which a thread ends, g++ binds the reference to
  # a null pointer.
  if(PLUG_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=null)
  endif()
  # With a sanitizer, g++ takes some initialized variables for uninitialized ones.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
  add_link_options(-fsanitize=${PLUG_SANITIZE})
  add_compile_definitions(PLUG_SANITIZED)
endif()

# For folders whose programs run only once, such as tests. In development builds their code compiles
# faster: with line numbers, but without debug information about variables and with few
# optimisations. The CMakeLists.txt of the folder calls it.
macro(plug_compile_quickly)
  add_compile_options("$<$<CONFIG:RelWithDebInfo,None>:-O1;-g1>")
endmacro()
