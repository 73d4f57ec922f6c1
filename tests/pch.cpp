// Holds no code: compiling it makes the precompiled header that all tests share.
