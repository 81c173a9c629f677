// Fuzzes the whole driver: the input decides what happens in a simulated world, one event at a
// time, and what the IUs and logins in it say. When it ends, the world settles and the driver must
// leave nothing behind; tests/sim/simulation.h has all that is checked.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/fake/world.h"
#include "tests/sim/simulation.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  srp::fake::failure_signals = true;
  // The story of one input, for replays.
  srp::fake::set_tracing(std::getenv("FUZZ_TRACE") != nullptr);
  return 0;
}

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  srp::sim::run_script({data, bytes});
  return 0;
}
