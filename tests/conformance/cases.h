// The table of cases: each file cases_X.cpp has the group X.
#pragma once

#include <functional>
#include <span>

#include "workbench.h"

namespace conformance {

struct Case {
  const char* name;    // GROUP/WHAT
  const char* source;  // as README.md explains
  const char* demand;  // what a target must do
  std::function<void(Lab&)> run;
};

// A command that must be refused with one of these, moving nothing.
inline Case refusal(const char* name, const char* source, const char* demand,
                    Bytes (*make)(Workbench&), std::vector<Sense> lawful) {
  return {name, source, demand, [make, lawful = std::move(lawful)](Lab& lab) {
            Workbench bench(lab);
            const Response response = bench.run(make(bench));
            must_be_refused(lab, response, lawful);
            bench.must_have_read_nothing();
            bench.must_have_written_nothing();
          }};
}

std::span<const Case> login_cases();
std::span<const Case> framing_cases();
std::span<const Case> command_cases();
std::span<const Case> direct_cases();
std::span<const Case> indirect_cases();
std::span<const Case> external_cases();
std::span<const Case> immediate_cases();
std::span<const Case> bidi_cases();
std::span<const Case> attribute_cases();
std::span<const Case> tmf_cases();
std::span<const Case> hang_cases();
std::span<const Case> multichannel_cases();
std::span<const Case> teardown_cases();
std::span<const Case> profile_cases();
std::span<const Case> golden_cases();
std::span<const Case> solicited_cases();
std::span<const Case> fuzz_cases();

}  // namespace conformance
