// The one source of chance in the simulation: a seed decides everything that happens.
#pragma once

#include <cstdint>
#include <vector>

namespace srp::fake {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  // SplitMix64: passes the statistics that a simulation needs, and every seed is a good one.
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // 0 <= result < bound.
  std::size_t below(std::size_t bound) noexcept { return next() % bound; }
  // first <= result <= last.
  std::size_t between(std::size_t first, std::size_t last) noexcept {
    return first + below(last - first + 1);
  }
  bool chance(double probability) noexcept {
    return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
  }
  std::uint8_t byte() noexcept { return static_cast<std::uint8_t>(next() >> 56); }

  template <class T>
  T& pick(std::vector<T>& from) noexcept {
    return from[below(from.size())];
  }

 private:
  std::uint64_t state_;
};

}  // namespace srp::fake
