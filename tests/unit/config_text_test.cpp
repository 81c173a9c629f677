// What a line of srp.conf says, found again beside libconfig's tree.
#include "lld_srp/config_text.h"

#include "tests/unit/harness.h"

namespace {

// The values of the setting called name, as found in text and as a message shows them.
struct Found {
  std::string written;
  std::string shown;

  bool operator==(const Found&) const = default;
};

Found find(const std::string& text, const char* name) {
  libconfig::Config config;
  config.readString(text);
  const libconfig::Setting& setting = config.getRoot()[name];
  return {std::string{srp::written(text, setting)}, srp::shown(text, setting)};
}

}  // namespace

TEST_GROUP(ConfigText){};

TEST(ConfigText, skip_blanks__stops_at_the_first_letter) {
  CHECK(srp::skip_blanks(" \t\r\na b") == "a b");
  CHECK(srp::skip_blanks("  ").empty() && srp::skip_blanks("").empty());
}

TEST(ConfigText, from_line__counts_from_one_and_ends_with_the_text) {
  CHECK(srp::from_line("a\nb\nc", 1) == "a\nb\nc");
  CHECK(srp::from_line("a\nb\nc", 3) == "c");
  CHECK(srp::from_line("a\n", 2).empty());
  CHECK(srp::from_line("a", 2).empty());
}

TEST(ConfigText, written__keeps_the_digits_that_libconfig_changes) {
  const std::string large = "99999999999999999999";
  CHECK((Found{large, large}) == find("a = " + large + ";", "a"));
  CHECK((Found{"0x10", "0x10"}) == find("b = 1; a\n:\n0x10;", "a"));
  CHECK((Found{"true", "true"}) == find("aa = 3; a=true", "a"));
}

TEST(ConfigText, written__is_empty_where_a_comment_hides_it) {
  CHECK((Found{"", "..."}) == find("a /* b */ = 5;", "a"));
}

TEST(ConfigText, shown__tells_what_is_no_scalar) {
  STRCMP_EQUAL("{...}", find("a = { };", "a").shown.c_str());
  STRCMP_EQUAL("(...)", find("a = ( );", "a").shown.c_str());
  STRCMP_EQUAL("[...]", find("a = [ ];", "a").shown.c_str());
  STRCMP_EQUAL("\"b?c\"", find("a = \"b\\tc\";", "a").shown.c_str());
}
