// What fuzzers share: bytes in blocks of exactly their size, and what to do about a finding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tests/fake/world.h"

namespace srp::fuzz {

// Made from a range, it owns a block of exactly that size, so that the address sanitizer sees a
// read beyond it.
using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

inline Bytes copy(View bytes) { return {bytes.begin(), bytes.end()}; }

// Ends the process, with a signal that libFuzzer takes for a finding.
inline void require(bool holds, const char* rule) {
  if (!holds) fake::fail("%s", rule);
}

}  // namespace srp::fuzz
