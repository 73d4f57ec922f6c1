#pragma once

// Refuses a compiler that is not in C++20 mode. Each public header includes this before any other
// text.

#if __cplusplus < 202002L
#error plug needs C++20: compile with -std=c++20 or later
#endif
