// Traces: silent while their category is off, one line of tgtd's log when it is on.
#include "plugin_api/log.h"

#include "tests/unit/harness.h"
#include "tests/unit/observe.h"

using namespace srp;
using srp::test::log_of;

TEST_GROUP(Log){void teardown() override{trace_flags = 0;
}
}
;

TEST(Log, trace_categories__are_the_bits_from_one_on_in_order) {
  std::uint32_t bit = 1;
  for (const TraceCategory& category : trace_categories) {
    CHECK_EQUAL(bit, static_cast<std::uint32_t>(category.bit));
    bit <<= 1;
  }
  CHECK_EQUAL(bit - 1, trace_flags_all);
}

TEST(Log, trace__of_a_category_that_is_off_says_nothing) {
  trace_flags = trace_flags_all & ~static_cast<std::uint32_t>(Trace::task);
  CHECK_FALSE(traced(Trace::task));
  STRCMP_EQUAL("", log_of([] { trace(Trace::task, "tag %d", 1); }).c_str());
}

TEST(Log, trace__of_each_category_names_it) {
  for (const TraceCategory& category : trace_categories) {
    trace_flags = static_cast<std::uint32_t>(category.bit);
    CHECK_TRUE(traced(category.bit));
    const std::string line = log_of([&] { trace(category.bit, "tag %d of %s", 7, "one"); });
    STRCMP_CONTAINS(("srp: [" + std::string{category.name} + "] tag 7 of one\n").c_str(),
                    line.c_str());
  }
}

// tgtd cuts at 256 bytes, and then the newline would be missing.
TEST(Log, trace__cuts_a_long_line_so_that_all_of_it_fits_tgtds) {
  constexpr std::size_t tgtd_line_bytes = 256;
  trace_flags = trace_flags_all;
  const std::string text(1000, 'x');
  const std::string line = log_of([&] { trace(Trace::channel, "%s", text.c_str()); });
  const auto begin = line.find("srp: ");
  CHECK_TRUE(begin != line.npos && line.ends_with("x\n"));
  CHECK_TRUE(line.size() - begin < tgtd_line_bytes);
}
