// A hash for identifiers that outlive the process.
#pragma once

#include <cstdint>
#include <string_view>

namespace srp {

// FNV-1a: stable over releases and machines, which std::hash is not.
constexpr std::uint64_t stable_hash(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace srp
