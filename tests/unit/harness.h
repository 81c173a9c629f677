// CppUTest without its macros for new and delete, after which no other header could be included.
// Leaks are the address sanitizer's to find.
#pragma once

#define CPPUTEST_USE_MEM_LEAK_DETECTION 0
#include <CppUTest/TestHarness.h>
