// Addresses as administrators write them.
#include "lld_srp/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "tests/fake/infiniband.h"
#include "tests/unit/harness.h"

using srp::to_string;
using srp::with_port;

namespace {

sockaddr_storage ipv4(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(5000);
  CHECK_EQUAL(1, inet_pton(AF_INET, text, &address.sin_addr));
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  return storage;
}

sockaddr_storage ipv6(const char* text, std::uint32_t scope = 0) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(5000);
  address.sin6_scope_id = scope;
  CHECK_EQUAL(1, inet_pton(AF_INET6, text, &address.sin6_addr));
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  return storage;
}

}  // namespace

TEST_GROUP(Address){};

TEST(Address, to_string__of_ipv4_is_dotted) {
  CHECK_EQUAL(std::string{"10.0.0.1"}, to_string(ipv4("10.0.0.1")));
  CHECK_EQUAL(std::string{"0.0.0.0"}, to_string(ipv4("0.0.0.0")));
}

TEST(Address, to_string__of_ipv6_is_short) {
  CHECK_EQUAL(std::string{"2001:db8::1"}, to_string(ipv6("2001:0db8:0:0:0:0:0:1")));
  CHECK_EQUAL(std::string{"::ffff:10.0.0.1"}, to_string(ipv6("::ffff:10.0.0.1")));
  CHECK_EQUAL(std::string{"::"}, to_string(ipv6("::")));
}

TEST(Address, to_string__of_a_link_local_address_names_the_interface) {
  CHECK_EQUAL(std::string{"fe80::1%lo"}, to_string(ipv6("fe80::1", 1)));
}

TEST(Address, to_string__of_a_gid_is_that_of_an_ipv6_address) {
  const sockaddr_storage gid = srp::fake::gid_address(1, 2);
  CHECK_EQUAL(std::string{"fe80::2:c903:0:102"}, to_string(gid));
  CHECK_TRUE(srp::bytes_of(gid) == srp::address_from_text("fe80::2:c903:0:102"));
}

TEST(Address, to_string__of_other_families_is_a_question_mark) {
  sockaddr_storage address{};
  CHECK_EQUAL(std::string{"?"}, to_string(address));
  address.ss_family = AF_UNIX;
  CHECK_EQUAL(std::string{"?"}, to_string(address));
}

TEST(Address, with_port__puts_ipv6_in_brackets) {
  CHECK_EQUAL(std::string{"10.0.0.1:5000"}, with_port("10.0.0.1", 5000));
  CHECK_EQUAL(std::string{"[fe80::1%eth0]:5000"}, with_port("fe80::1%eth0", 5000));
  CHECK_EQUAL(std::string{"[::]:65535"}, with_port("::", 65535));
  CHECK_EQUAL(std::string{"?:1"}, with_port("?", 1));
}

TEST(Address, with_port__without_one_is_the_address) {
  CHECK_EQUAL(std::string{"fe80::1"}, with_port("fe80::1", 0));
}

TEST(Address, address_from_text__with_ipv4_in_ipv6) {
  const auto dotted = srp::address_from_text("10.0.0.1");
  const auto mapped = srp::address_from_text("[::ffff:10.0.0.1]");
  CHECK(dotted && mapped && *dotted == *mapped);
  CHECK(srp::is_ipv4(*dotted));
  CHECK_EQUAL(std::string{"10.0.0.1"}, srp::address_text(*dotted));
  const auto ipv6_address = srp::address_from_text("FE80::1");
  CHECK(ipv6_address && !srp::is_ipv4(*ipv6_address));
  CHECK_EQUAL(std::string{"fe80::1"}, srp::address_text(*ipv6_address));
  for (const char* wrong : {"", "10.0.0", "[10.0.0.1]", "fe80::1%lo", "[fe80::1", "host"}) {
    CHECK_FALSE_TEXT(srp::address_from_text(wrong).has_value(), wrong);
  }
}

TEST(Address, bytes_of__are_those_of_the_text) {
  CHECK(srp::bytes_of(ipv4("10.0.0.1")) == srp::address_from_text("10.0.0.1"));
  CHECK(srp::bytes_of(ipv6("fe80::1", 1)) == srp::address_from_text("fe80::1"));
  CHECK_FALSE(srp::bytes_of(sockaddr_storage{}).has_value());
}

TEST(Address, gid_text__has_eight_groups_of_four_digits) {
  CHECK_EQUAL(std::string{"fe80:0000:0000:0000:0002:c903:00a1:b2c3"},
              srp::gid_text(*srp::address_from_text("fe80::2:c903:a1:b2c3")));
}

TEST(Address, guid_from_text__is_16_digits_in_one_or_four_groups) {
  for (const char* text : {"0002c90300a1b2c3", "0002:c903:00a1:b2c3", "0002:C903:00A1:B2C3"}) {
    CHECK_TRUE_TEXT(srp::guid_from_text(text) == 0x0002c90300a1b2c3U, text);
  }
  for (const char* text :
       {"", "0002c90300a1b2c", "0002c90300a1b2c3f", "0002c90300a1b2cg", "0x0002c90300a1b2c3",
        "0002:c90300a1:b2c3", "0002:c903:00a1:b2c", "0002-c903-00a1-b2c3", "+002c90300a1b2c3"}) {
    CHECK_FALSE_TEXT(srp::guid_from_text(text).has_value(), text);
  }
}

TEST(Address, guid_of__is_the_second_half) {
  CHECK_EQUAL(0x0002c90300a1b2c3U, srp::guid_of(*srp::address_from_text("fe80::2:c903:a1:b2c3")));
}
