// sim_tests: runs the scenarios and the worlds of many seeds.
//
//   sim_tests                       all scenarios, then seeds 1 to 1000
//   sim_tests scenarios             all scenarios, a PASS or FAIL line for each
//   sim_tests scenario NAME         one of them
//   sim_tests seeds FIRST LAST      that range; goes on after a failure, ten failures end it
//   sim_tests seed N                one world; SEED=N in the environment is the same
//   -v                              as the first argument: the story, event by event
//
// Worlds run in child processes, so that a crash costs only its own world.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/scenarios.h"
#include "tests/sim/simulation.h"

namespace {

using namespace srp;

constexpr unsigned failures_max = 10;
constexpr unsigned seconds_per_world_max = 120;

// Lives in memory that parent and child share.
struct Progress {
  std::uint64_t seed;
  char failure[fake::failure_text_bytes];
};
Progress* progress;

// Runs body in a child; 0 if it ends well.
template <class Body>
int in_child(Body&& body) {
  progress->failure[0] = '\0';
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    body();
    std::exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  return status;
}

const char* reason() {
  return progress->failure[0] != '\0' ? progress->failure
                                      : "crash, sanitizer or time limit: see above";
}

unsigned run_seeds(std::uint64_t first, std::uint64_t last) {
  const auto begin = std::chrono::steady_clock::now();
  unsigned failures = 0;
  std::uint64_t next = first;
  while (next <= last && failures < failures_max) {
    const int status = in_child([next, last] {
      for (std::uint64_t seed = next; seed <= last; ++seed) {
        progress->seed = seed;
        alarm(seconds_per_world_max);
        sim::run_seed(seed);
      }
    });
    if (status == 0) break;
    ++failures;
    std::printf("FAIL seed_%llu: %s (replay: sim_tests -v seed %llu)\n",
                static_cast<unsigned long long>(progress->seed), reason(),
                static_cast<unsigned long long>(progress->seed));
    next = progress->seed + 1;
  }
  const std::uint64_t count = last - first + 1;
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  if (failures == 0) {
    std::printf("%llu seeds clean, %.0f seeds/s\n", static_cast<unsigned long long>(count),
                static_cast<double>(count) / taken.count());
    std::printf("PASS seeds_%llu_to_%llu\n", static_cast<unsigned long long>(first),
                static_cast<unsigned long long>(last));
  }
  return failures;
}

unsigned run_scenarios(const char* only) {
  unsigned failures = 0;
  bool found = false;
  for (const sim::Scenario& scenario : sim::scenarios()) {
    if (only != nullptr && std::strcmp(only, scenario.name) != 0) continue;
    found = true;
    const int status = in_child([&scenario] {
      // The same story under many interleavings.
      for (std::uint64_t seed = 1; seed <= scenario.seeds; ++seed) {
        progress->seed = seed;
        alarm(seconds_per_world_max);
        scenario.run(seed);
      }
    });
    if (status == 0) {
      std::printf("PASS %s\n", scenario.name);
    } else {
      ++failures;
      std::printf("FAIL %s: with seed %llu, %s\n", scenario.name,
                  static_cast<unsigned long long>(progress->seed), reason());
    }
  }
  if (!found) std::printf("FAIL %s: no such scenario\n", only ? only : "scenarios");
  return failures + (found ? 0 : 1);
}

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 0); }

}  // namespace

int main(int argc, char** argv) {
  progress = static_cast<Progress*>(
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  fake::failure_text = progress->failure;
  if (argc > 1 && std::strcmp(argv[1], "-v") == 0) {
    fake::set_tracing(true);
    --argc;
    ++argv;
  }
  const std::string what = argc > 1 ? argv[1] : "";
  const char* seed = std::getenv("SEED");
  if (what == "seed" && argc > 2) return run_seeds(number(argv[2]), number(argv[2])) != 0;
  if (what.empty() && seed != nullptr) return run_seeds(number(seed), number(seed)) != 0;
  if (what == "seeds" && argc > 3) return run_seeds(number(argv[2]), number(argv[3])) != 0;
  if (what == "scenario" && argc > 2) return run_scenarios(argv[2]) != 0;
  if (what == "scenarios") return run_scenarios(nullptr) != 0;
  if (!what.empty()) {
    std::fprintf(stderr,
                 "usage: sim_tests [-v] [scenarios | scenario NAME | seeds FIRST LAST | seed N]\n");
    return 2;
  }
  const unsigned failures = run_scenarios(nullptr) + run_seeds(1, 1000);
  return failures != 0;
}
