#include "bytes.h"

#include <algorithm>
#include <cctype>

namespace conformance {

void put(Bytes& bytes, std::size_t at, std::uint64_t number, std::size_t width) {
  for (std::size_t i = width; i-- > 0; number >>= 8) {
    bytes.at(at + i) = static_cast<std::uint8_t>(number);
  }
}

std::uint64_t get(View bytes, std::size_t at, std::size_t width) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : bytes.subspan(at, width)) number = number << 8 | byte;
  return number;
}

void append(Bytes& bytes, std::uint64_t number, std::size_t width) {
  bytes.resize(bytes.size() + width);
  put(bytes, bytes.size() - width, number, width);
}

void append(Bytes& bytes, View more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

Bytes pattern(std::size_t size, std::uint32_t seed) {
  Bytes bytes(size);
  std::uint32_t state = seed * 2654435761u + 1;
  for (auto& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

std::string to_hex(View bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0 && i % 4 == 0) text += ' ';
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

Bytes from_hex(const char* text) {
  Bytes bytes;
  bool half = false;
  for (; *text != '\0'; ++text) {
    if (std::isxdigit(static_cast<unsigned char>(*text)) == 0) continue;
    const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(*text)));
    const auto digit = static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (half) {
      bytes.back() = static_cast<std::uint8_t>(bytes.back() | digit);
    } else {
      bytes.push_back(static_cast<std::uint8_t>(digit << 4));
    }
    half = !half;
  }
  return bytes;
}

std::ptrdiff_t difference(View a, View b) {
  const auto [x, y] = std::ranges::mismatch(a, b);
  if (x == a.end() && y == b.end()) return -1;
  return x - a.begin();
}

}  // namespace conformance
