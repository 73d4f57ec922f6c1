# plug_python_tests(<folder> [<NAME=value>...]): adds a ctest test for each method of each unittest
# file <folder>/test_*.py. The tests run with the given environment.
function(plug_python_tests folder)
  set(environment ${ARGN} PYTHONDONTWRITEBYTECODE=1)
  set(directory "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
  file(GLOB files CONFIGURE_DEPENDS ${folder}/test_*.py)
  # Configure again when a file changes, because it may contain new tests.
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.py)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sources})
  foreach(file IN LISTS files)
    cmake_path(GET file STEM module)
    execute_process(
      COMMAND "${CMAKE_COMMAND}" -E env ${environment}
              "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/cmake/list_unittests.py" ${module}
      WORKING_DIRECTORY "${directory}"
      OUTPUT_VARIABLE tests
      COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^\n]+" tests "${tests}")
    set(time_limit 60)
    if(module STREQUAL "test_families")  # may run in an emulated machine, which is slow
      set(time_limit 240)
    endif()
    foreach(test IN LISTS tests)
      add_test(NAME ${folder}.${test}
        COMMAND "${Python3_EXECUTABLE}" -m unittest ${test}
        WORKING_DIRECTORY "${directory}")
      set_tests_properties(${folder}.${test} PROPERTIES
        ENVIRONMENT "${environment}"
        SKIP_REGULAR_EXPRESSION "OK \\(skipped="
        TIMEOUT ${time_limit}
        LABELS ${folder})
    endforeach()
  endforeach()
endfunction()
