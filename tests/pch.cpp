// Contains no code. Compiling it creates the precompiled header that all tests share.
