// The shared state of the fakes; see world.h.
#include "tests/fake/world.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "tests/fake/cm.h"
#include "tests/fake/fabric.h"
#include "tests/fake/tgtd.h"

// Of the sanitizers' runtime, where there is one.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" [[gnu::weak]] void __sanitizer_print_stack_trace();

namespace srp::fake {

namespace {

World* current;
bool traced;

}  // namespace

char* failure_text;

World::World(const Random& chance) : random(chance) {
  if (current != nullptr) fail("two worlds");
  current = this;
  fabric = std::make_unique<Fabric>();
  cm = std::make_unique<Cm>();
  tgtd = std::make_unique<Tgtd>();
}

World::~World() {
  tgtd.reset();
  cm.reset();
  fabric.reset();
  current = nullptr;
}

bool World::happens(Fault fault) noexcept {
  const double probability = faults.of(fault);
  return probability > 0 && random.chance(probability);
}

World& the_world() noexcept {
  if (current == nullptr) fail("the driver calls out although there is no world");
  return *current;
}

void fail(const char* format, ...) noexcept {
  char own[failure_text_bytes];
  char* text = failure_text != nullptr ? failure_text : own;
  std::va_list args;
  va_start(args, format);
  std::vsnprintf(text, failure_text_bytes, format, args);
  va_end(args);
  std::fprintf(stdout, "violation at step %llu: %s\n",
               static_cast<unsigned long long>(current ? current->step : 0), text);
  std::fflush(stdout);
  if (traced && __sanitizer_print_stack_trace) __sanitizer_print_stack_trace();
  if (failure_signals) std::abort();
  std::_Exit(1);
}

void trace(const char* format, ...) noexcept {
  if (!traced) return;
  std::va_list args;
  va_start(args, format);
  std::fprintf(stdout, "%8llu  ", current ? static_cast<unsigned long long>(current->step) : 0);
  std::vfprintf(stdout, format, args);
  std::fputc('\n', stdout);
  std::fflush(stdout);
  va_end(args);
}

void set_tracing(bool on) noexcept { traced = on; }
bool tracing() noexcept { return traced; }

}  // namespace srp::fake
