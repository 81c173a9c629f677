// Stories with a name: one fault at a time, each under many interleavings.
#pragma once

#include <cstdint>
#include <vector>

namespace srp::sim {

struct Scenario {
  const char* name;
  void (*run)(std::uint64_t seed);
  std::uint64_t seeds = 20;
};

const std::vector<Scenario>& scenarios();

void add_command_scenarios(std::vector<Scenario>& all);
void add_fault_scenarios(std::vector<Scenario>& all);

}  // namespace srp::sim
