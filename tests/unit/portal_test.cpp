// Addresses and ports to listen at, as texts; tests/unit/config_lists_test.cpp has every form.
#include "lld_srp/portal.h"

#include "tests/unit/harness.h"

using srp::Portal;

TEST_GROUP(Portal){};

TEST(Portal, portal_from_text__leaves_a_missing_port_to_the_caller) {
  CHECK((Portal{"10.0.0.1", 0}) == srp::portal_from_text("10.0.0.1"));
  CHECK((Portal{"fe80::1%eth0", 5001}) == srp::portal_from_text("[fe80::1%eth0]:5001"));
  CHECK((Portal{"", 0}) == srp::portal_from_text("*"));
  CHECK((Portal{"ib", 0}) == srp::portal_from_text("ib"));
  CHECK((Portal{"ib", 5001}) == srp::portal_from_text("ib:5001"));
  CHECK_FALSE(srp::portal_from_text("ib0").has_value());
  CHECK_FALSE(srp::portal_from_text("").has_value());
  CHECK_FALSE(srp::portal_from_text("10.0.0.1:0").has_value());
  CHECK_FALSE(srp::portal_from_text(std::string_view{"10.0.0.1\0", 9}).has_value());
}

TEST(Portal, parse_portal__says_what_is_wrong) {
  CHECK_TRUE(srp::parse_portal("[::1]:5001").wrong == nullptr);
  STRCMP_EQUAL("no closing bracket", srp::parse_portal("[::1").wrong);
  STRCMP_EQUAL("an IPv6 address without its brackets", srp::parse_portal("::1").wrong);
  STRCMP_EQUAL("its port is not 1 to 65535", srp::parse_portal("*:65536").wrong);
}
