// Trace categories as texts, both ways.
#include "plugin_api/trace_flags.h"

#include "tests/unit/harness.h"

using srp::text_of_trace_flags;
using srp::trace_flags_from_text;

TEST_GROUP(TraceFlags){};

TEST(TraceFlags, from_text__takes_numbers_names_all_and_none) {
  const struct {
    const char* text;
    std::uint32_t flags;
  } rows[] = {
      {"0", 0},           {"5", 5},      {"127", 127},
      {"0x7f", 127},      {"0X11", 17},  {"none", 0},
      {"all", 127},       {"login", 1},  {"channel", 2},
      {"iu", 4},          {"data", 8},   {"task", 16},
      {"credit", 32},     {"admin", 64}, {"login,task", 17},
      {"task,login", 17}, {"iu,iu", 4},  {"login,channel,iu,data,task,credit,admin", 127},
  };
  for (const auto& row : rows) {
    const auto flags = trace_flags_from_text(row.text);
    CHECK_TEXT(flags.has_value(), row.text);
    CHECK_EQUAL_TEXT(row.flags, *flags, row.text);
  }
}

TEST(TraceFlags, from_text__refuses_the_rest) {
  const char* const texts[] = {
      "",           "128",
      "0x80",       "-1",
      "+1",         "5 ",
      "0x",         "0xg",
      "1,2",        "Login",
      "log",        "login,",
      ",login",     "login,,iu",
      "login task", "login,all",
      ",",          "5L",
      "iux",        "4294967296",
      "login,4",    "18446744073709551617",
  };
  for (const char* const text : texts) {
    CHECK_FALSE_TEXT(trace_flags_from_text(text).has_value(), text);
  }
}

TEST(TraceFlags, text_of__names_and_numbers) {
  STRCMP_EQUAL("none (0)", text_of_trace_flags(0).c_str());
  STRCMP_EQUAL("iu (4)", text_of_trace_flags(4).c_str());
  STRCMP_EQUAL("login,task (17)", text_of_trace_flags(17).c_str());
}

TEST(TraceFlags, help__names_them_all) {
  STRCMP_EQUAL(
      "a number up to 127, all, none, or names out of login,channel,iu,data,task,credit,admin",
      srp::trace_flags_help().c_str());
}
