// The one source of chance in the simulation: a seed, or a script, decides everything that happens.
#pragma once

#include <cstdint>
#include <span>

namespace srp::fake {

class Random {
 public:
  Random(std::uint64_t seed) noexcept : state_(seed) {}

  // Decisions are read from script, each from as few bytes as its range takes, so that whoever
  // changes a byte changes a decision: a fuzzer's input. Beyond its end a fixed seed decides. The
  // script must outlive this object and its copies.
  explicit Random(std::span<const std::uint8_t> script) noexcept
      : script_(script), scripted_(true) {}

  // The script is used up. Never with a seed.
  [[nodiscard]] bool exhausted() const noexcept { return scripted_ && script_.empty(); }
  [[nodiscard]] bool scripted() const noexcept { return scripted_; }

  std::uint64_t next() noexcept { return draw(8); }
  // 0 <= result < bound.
  std::size_t below(std::size_t bound) noexcept {
    if (script_.empty()) return generate() % bound;
    unsigned bytes = 1;
    for (std::size_t last = (bound - 1) >> 8; last != 0; last >>= 8) ++bytes;
    return draw(bytes) % bound;
  }
  // first <= result <= last.
  std::size_t between(std::size_t first, std::size_t last) noexcept {
    return first + below(last - first + 1);
  }
  // In a script one byte decides, so that nothing possible is rarer than 1 in 256.
  bool chance(double probability) noexcept {
    if (!script_.empty()) return static_cast<double>(draw(1)) / 256 < probability;
    return static_cast<double>(generate() >> 11) * 0x1.0p-53 < probability;
  }
  std::uint8_t byte() noexcept {
    return static_cast<std::uint8_t>(script_.empty() ? generate() >> 56 : draw(1));
  }
  // What nobody should look at: not worth a byte of the script.
  std::uint8_t noise() noexcept { return static_cast<std::uint8_t>(generate() >> 56); }

  auto& pick(auto& from) noexcept { return from[below(from.size())]; }

 private:
  // SplitMix64: passes the statistics that a simulation needs, and every seed is a good one.
  std::uint64_t generate() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::uint64_t draw(unsigned bytes) noexcept {
    if (script_.empty()) return generate();
    std::uint64_t value = 0;
    for (; bytes != 0 && !script_.empty(); --bytes) {
      value = value << 8 | script_.front();
      script_ = script_.subspan(1);
    }
    return value;
  }

  std::uint64_t state_ = 1;
  std::span<const std::uint8_t> script_;
  bool scripted_ = false;
};

}  // namespace srp::fake
