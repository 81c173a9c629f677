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

template <class T>
View bytes_of(const T& object) {
  return {reinterpret_cast<const std::uint8_t*>(&object), sizeof object};
}

// A big-endian number of width bytes.
inline std::uint64_t number_at(View bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes.subspan(offset, width)) value = value << 8 | byte;
  return value;
}

// Ends the process, with a signal that libFuzzer takes for a finding.
inline void require(bool holds, const char* rule) {
  if (!holds) fake::fail("%s", rule);
}

}  // namespace srp::fuzz
