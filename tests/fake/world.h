// What all fakes share: chance, time, faults, the trace, and the verdict on the driver.
//
// One World lives at a time. The functions of verbs, librdmacm and tgtd have no place for a pointer
// of ours, so they reach it through the_world().
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "tests/fake/random.h"

namespace srp::fake {

class Cm;
class Fabric;
class Tgtd;

// Something of the machine that may go wrong; see Faults.
enum class Fault : std::uint8_t {
  post_send,
  post_recv,
  create,  // PD, CQ, QP, channels, contexts, ids
  modify_qp,
  reg_mr,
  listen,  // bind, listen, option
  accept,
  reject,
  completion,  // a work request fails without anybody's fault
  receive,     // a receive fails the same way
  rtu_lost,
  store_error,
  watch,     // tgt_event_add
  spurious,  // a handler is called for nothing
  count
};

// How likely each fault is, now. Swarm testing: a seed knows some faults and not others.
class Faults {
 public:
  void set(Fault fault, double probability) noexcept {
    probability_[index(fault)] = probability;
    ever_[index(fault)] |= probability > 0;
  }
  [[nodiscard]] double of(Fault fault) const noexcept { return probability_[index(fault)]; }
  // It may have happened: what is seen now may be its consequence.
  [[nodiscard]] bool ever(Fault fault) const noexcept { return ever_[index(fault)]; }
  void clear() noexcept { probability_ = {}; }

 private:
  static std::size_t index(Fault fault) noexcept { return static_cast<std::size_t>(fault); }
  std::array<double, static_cast<std::size_t>(Fault::count)> probability_{};
  std::array<bool, static_cast<std::size_t>(Fault::count)> ever_{};
};

class World {
 public:
  explicit World(const Random& chance);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] bool happens(Fault fault) noexcept;

  std::uint64_t step = 0;  // events so far: the simulation's time
  Random random;
  Faults faults;
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Cm> cm;
  std::unique_ptr<Tgtd> tgtd;
};

World& the_world() noexcept;

// The driver, or a fake, broke a rule: says which and ends the process, with a signal where
// failure_signals is set. The text also goes to failure_text, where somebody outlives the process
// to read it.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...) noexcept;

inline constexpr std::size_t failure_text_bytes = 512;
extern char* failure_text;
inline bool failure_signals = false;

// A line of the story, printed with -v.
[[gnu::format(printf, 1, 2)]] void trace(const char* format, ...) noexcept;
void set_tracing(bool on) noexcept;
[[nodiscard]] bool tracing() noexcept;

}  // namespace srp::fake
