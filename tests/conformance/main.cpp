// Runs the cases one after another: a line for each, then the sum.
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

constexpr std::span<const Case> (*groups[])() = {
    login_cases,     framing_cases,      command_cases,  direct_cases,    indirect_cases,
    external_cases,  immediate_cases,    bidi_cases,     attribute_cases, tmf_cases,
    hang_cases,      multichannel_cases, teardown_cases, profile_cases,   golden_cases,
    solicited_cases, fuzz_cases,
};

enum class Verdict { pass, fail, skip };

struct Result {
  Verdict verdict;
  std::string words;
};

bool is_wanted(const Options& options, const char* name) {
  return options.patterns.empty() ||
         std::ranges::any_of(options.patterns, [&](const std::string& pattern) {
           return ::fnmatch(pattern.c_str(), name, 0) == 0;
         });
}

std::vector<const Case*> wanted_cases(const Options& options) {
  std::vector<const Case*> wanted;
  for (const auto group : groups) {
    for (const Case& each : group()) {
      if (is_wanted(options, each.name)) wanted.push_back(&each);
    }
  }
  return wanted;
}

Result run_case(Lab& lab, const Case& which) {
  try {
    which.run(lab);
    lab.resume();
    lab.prove_unharmed();
    return {Verdict::pass, lab.remark()};
  } catch (const Skip& why) {
    return {Verdict::skip, why.what()};
  } catch (const std::exception& why) {
    return {Verdict::fail, why.what()};
  }
}

const char* current_case;

// What a target does can block a process for ever, inside the kernel. There is then no way on.
void on_alarm(int) {
  for (const char* part : {"FAIL ", current_case, ": hangs in a system call; giving up\n"}) {
    (void)!::write(STDOUT_FILENO, part, std::char_traits<char>::length(part));
  }
  ::_exit(3);
}

void print(const Case& which, const Result& result, Deadline begun) {
  static constexpr const char* names[] = {"PASS", "FAIL", "SKIP"};
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
  const bool pass = result.verdict == Verdict::pass;
  std::printf("%s %s%s%s%s [%ld ms]\n", names[static_cast<int>(result.verdict)], which.name,
              result.words.empty() ? "" : (pass ? " (" : ": "), result.words.c_str(),
              pass && !result.words.empty() ? ")" : "", static_cast<long>(ms));
  std::fflush(stdout);
}

int list_cases(const Options& options) {
  for (const Case* each : wanted_cases(options)) {
    if (options.brief) {
      std::printf("%s\n", each->name);
    } else {
      std::printf("%-44s %s [%s]\n", each->name, each->demand, each->source);
    }
  }
  return 0;
}

// Caches and pools fill during a run, so this bounds what is plainly a leak; single cases look
// closer.
bool memory_grew(const Lab& lab, std::int64_t before_kib) {
  const std::int64_t grown = lab.target_memory_kib() - before_kib;
  const bool too_much = grown > std::int64_t{lab.options().memory_growth_mib} * 1024;
  std::printf("%s run/target_memory: grew by %ld KiB from %ld\n", too_much ? "FAIL" : "PASS",
              static_cast<long>(grown), static_cast<long>(before_kib));
  return too_much;
}

int run_all(const Options& options) {
  constexpr unsigned case_limit_s = 180;
  int counts[3] = {};
  current_case = "run/first_login";
  std::signal(SIGALRM, on_alarm);
  ::alarm(case_limit_s);
  Lab lab(options);
  const std::int64_t before = options.pid != 0 ? lab.target_memory_kib() : 0;
  for (const Case* each : wanted_cases(options)) {
    current_case = each->name;
    ::alarm(case_limit_s + 2 * static_cast<unsigned>(options.patience_s));
    const Deadline begun = Clock::now();
    const Result result = run_case(lab, *each);
    lab.clean_up();
    ++counts[static_cast<int>(result.verdict)];
    print(*each, result, begun);
  }
  ::alarm(0);
  if (options.pid != 0) ++counts[memory_grew(lab, before) ? 1 : 0];
  std::printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 ? 0 : 1;
}

}  // namespace

}  // namespace conformance

int main(int count, char** words) {
  using namespace conformance;
  try {
    const Options options = parse_options(count, words);
    return options.list ? list_cases(options) : run_all(options);
  } catch (const std::invalid_argument& why) {
    std::fprintf(stderr, "srp_conformance: %s\n\n%s", why.what(), usage);
  } catch (const std::exception& why) {
    std::printf("FAIL run/first_login: %s\n", why.what());
  }
  return 2;
}
