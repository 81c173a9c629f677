// Bytes as SRP and SCSI have them: numbers are big-endian, tags are opaque.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace conformance {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

// Writes the low `width` bytes of a number at an offset that exists.
void put(Bytes& bytes, std::size_t at, std::uint64_t number, std::size_t width);
std::uint64_t get(View bytes, std::size_t at, std::size_t width);

void append(Bytes& bytes, std::uint64_t number, std::size_t width);
void append(Bytes& bytes, View more);

// Bytes that depend on the seed and on their place, so that a shifted copy is seen.
Bytes pattern(std::size_t size, std::uint32_t seed);

// "c1000000 00000001 ..." in groups of four; blanks in the input of from_hex are ignored.
std::string to_hex(View bytes);
Bytes from_hex(const char* text);

// The first place where two runs of bytes differ, or -1; sizes count.
std::ptrdiff_t difference(View a, View b);

}  // namespace conformance
