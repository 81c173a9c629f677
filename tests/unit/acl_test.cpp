// Which entries admit which initiator, and how the two lists of a target decide together.
#include "lld_srp/acl.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "CppUTest/TestHarness.h"
#include "lld_srp/address.h"
#include "tests/fake/infiniband.h"

using srp::Admission;
using srp::InitiatorIdentity;
using srp::PortId;

namespace {

// Port identifier 0x1122334455667788 0002c90300a1b2c3.
constexpr PortId port_id{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
                         0x00, 0x02, 0xc9, 0x03, 0x00, 0xa1, 0xb2, 0xc3};

sockaddr_storage peer(const char* text) {
  sockaddr_storage storage{};
  sockaddr_in ipv4{};
  sockaddr_in6 ipv6{};
  if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(5000);
    std::memcpy(&storage, &ipv4, sizeof ipv4);
  } else if (inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1) {
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(5000);
    ipv6.sin6_flowinfo = 0xa5a5a5a5;
    std::memcpy(&storage, &ipv6, sizeof ipv6);
  }
  return storage;
}

std::array<std::uint8_t, 16> gid(const char* text) {
  std::array<std::uint8_t, 16> bytes{};
  CHECK_EQUAL(1, inet_pton(AF_INET6, text, bytes.data()));
  return bytes;
}

InitiatorIdentity initiator(const char* address, const char* gid_text = "fe80::2:c903:a1:b2c3") {
  return {port_id, peer(address), gid(gid_text)};
}

bool matches(std::string_view entry, const InitiatorIdentity& who) {
  return srp::acl_entry_admits(entry, who) != Admission::no;
}

struct Row {
  std::string_view entry;
  bool admits;
};

void check(std::span<const Row> rows, const InitiatorIdentity& who) {
  for (const Row& row : rows) {
    const std::string entry{row.entry};
    CHECK_EQUAL_TEXT(row.admits, matches(row.entry, who), entry.c_str());
  }
}

}  // namespace

TEST_GROUP(Acl){};

TEST(Acl, acl_entry_admits__everyone) {
  const Row rows[] = {
      {"ALL", true},  {"all", true},   {"aLl", true},   {"*", true},     {"", false},
      {"AL", false},  {"ALLL", false}, {"ALL ", false}, {" ALL", false}, {"xLL", false},
      {"AxL", false}, {"ALx", false},  {"*ALL", false}, {"ALL*", false},
  };
  check(rows, initiator("10.1.2.3"));
  check(std::span{rows}.first(4), {});
}

TEST(Acl, acl_entry_admits__ipv4_addresses) {
  const Row rows[] = {
      {"10.1.2.3", true},
      {"10.1.2.4", false},
      {"11.1.2.3", false},
      {"::ffff:10.1.2.3", true},
      {"[::ffff:10.1.2.3]", true},
      {"::10.1.2.3", false},
      {"10.1.2.3/32", true},
      {"10.1.2.2/32", false},
      {"10.1.2.2/31", true},
      {"10.1.2.0/24", true},
      {"10.1.3.0/24", false},
      {"10.0.0.0/15", true},
      {"10.0.0.0/16", false},
      {"10.0.0.0/8", true},
      {"128.0.0.0/1", false},
      {"0.0.0.0/1", true},
      {"0.0.0.0/0", true},
      {"::ffff:0:0/96", true},
      {"::ffff:10.1.2.0/120", true},
      {"::ffff:10.1.3.0/120", false},
      {"::/0", false},
      {"::/80", false},
      {"10.1.2.3/24", false},  // host bits
      {"10.1.2.3/31", false},
      {"10.1.2.3/33", false},
      {"10.1.2.3/128", false},
      {"0.0.0.0/4294967296", false},
      {"0.0.0.0/", false},
      {"0.0.0.0/-0", false},
      {"0.0.0.0/0 ", false},
      {"0.0.0.0/0/0", false},
      {"0.0.0.0/0x0", false},
      {"/0", false},
      {"[10.1.2.3]", false},
      {"10.1.2", false},
      {"10.1.2.3.", false},
      {"10.1.2.*", true},
      {"10.1.3.*", false},
      {"10.1.?.3", true},
      {"10.1.2.3:5000", false},
      {" 10.1.2.3", false},
      {"010.1.2.3", false},
  };
  check(rows, initiator("10.1.2.3"));
  check(rows, initiator("::ffff:10.1.2.3"));
}

TEST(Acl, acl_entry_admits__ipv6_addresses) {
  const Row rows[] = {
      {"2001:db8::1", true},
      {"2001:DB8:0:0::1", true},
      {"2001:0db8:0000:0000:0000:0000:0000:0001", true},
      {"[2001:db8::1]", true},
      {"2001:db8::2", false},
      {"2001:db8::1/128", true},
      {"2001:db8::/127", true},
      {"2001:db8::2/127", false},
      {"[2001:db8::]/32", true},
      {"[2001:db8::/32]", false},
      {"2001:db8::/32", true},
      {"2001:db9::/32", false},
      {"2000::/3", true},
      {"4000::/3", false},
      {"::/0", true},
      {"::/1", true},
      {"0.0.0.0/0", false},
      {"::ffff:0:0/96", false},
      {"2001:db8::1/64", false},  // host bits
      {"2001:db8::/129", false},
      {"2001:db8::1/129", false},
      {"x2001:db8::1]", false},
      {"[2001:db8::1x", false},
      {"[2001:db8::1", false},
      {"2001:db8::1]", false},
      {"[[2001:db8::1]]", false},
      {"[]", false},
      {"2001:db8::1%eth0", false},
  };
  check(rows, initiator("2001:db8::1"));
}

TEST(Acl, acl_entry_admits__a_gid_by_address_but_not_by_network) {
  const Row rows[] = {
      {"fe80::2:c903:a1:b2c3", true},
      {"[FE80:0::2:c903:a1:b2c3]", true},
      {"fe80::2:c903:a1:b2c3/128", true},
      {"fe80::2:c903:a1:b2c2/127", false},
      {"fe80::/64", false},
      {"::/0", false},
      {"fe80::2:c903:a1:b2c4", false},
  };
  check(rows, initiator("10.1.2.3"));
  check(rows, initiator("no address"));

  const Row ipv4_rows[] = {{"192.0.2.1", true}, {"192.0.2.2", false}, {"192.0.2.0/24", false}};
  check(ipv4_rows, initiator("no address", "::ffff:192.0.2.1"));
}

TEST(Acl, acl_entry_admits__nothing_that_is_not_known_of_the_initiator) {
  const Row rows[] = {{"::", false}, {"::/0", false}, {"0.0.0.0", false}, {"0.0.0.0/0", false}};
  check(rows, initiator("no address", "::"));
  InitiatorIdentity other_family = initiator("10.1.2.3");
  other_family.address.ss_family = AF_UNIX;
  CHECK_FALSE(matches("10.1.2.3", other_family));
}

TEST(Acl, acl_entry_admits__port_identifiers) {
  const Row rows[] = {
      {"0x11223344556677880002c90300a1b2c3", true},
      {"0X11223344556677880002C90300A1B2C3", true},
      {"11223344556677880002c90300a1b2c3", true},
      {"11223344556677880002c90300a1b2c4", false},
      {"01223344556677880002c90300a1b2c3", false},
      {"11223344556677880002c90300a1b2c", false},
      {"11223344556677880002c90300a1b2c33", false},
      {"0x0x11223344556677880002c90300a1b2c3", false},
      {"0x0x223344556677880002c90300a1b2c3", false},
      {"x11223344556677880002c90300a1b2c3", false},
      {"g1223344556677880002c90300a1b2c3", false},
      {"0x", false},
      {"0x0002c90300a1b2c3", false},
  };
  check(rows, initiator("10.1.2.3"));
}

TEST(Acl, acl_entry_admits__the_guid_half) {
  const Row rows[] = {
      {"0002c90300a1b2c3", true},      {"0002C90300A1B2C3", true},
      {"0002:c903:00a1:b2c3", true},   {"0002:C903:00A1:B2C3", true},
      {"0002c90300a1b2c4", false},     {"1122334455667788", false},
      {"1002:c903:00a1:b2c3", false},  {"0002:d903:00a1:b2c3", false},
      {"0002:c903:10a1:b2c3", false},  {"0002:c903:00a1:b2c4", false},
      {"0002-c903:00a1:b2c3", false},  {"0002:c903-00a1:b2c3", false},
      {"0002:c903:00a1-b2c3", false},  {"0002:c903:00a1:b2c", false},
      {"0002:c903:00a1:b2c3:", false}, {"0002:c903:00a1:b2c33", false},
      {"0x0002c90300a1b2c3", false},   {"002:c903:a1:b2c3", false},
      {"00:02c9:0300:a1b2:c", false},  {"0002c90300a1b2c", false},
  };
  check(rows, initiator("10.1.2.3"));
}

TEST(Acl, acl_entry_admits__wildcards_over_the_whole_port_identifier) {
  const Row rows[] = {
      {"0x*", true},
      {"**", true},
      {"*c3", true},
      {"*C3", true},
      {"*c4", false},
      {"11*", true},
      {"0X11*", true},
      {"12*", false},
      {"*0002c903*", true},
      {"*0002c904*", false},
      {"1122*0002c903*c3", true},
      {"1*2*3*c*c3", true},
      {"1*c3*c3", false},
      {"*8*8*8*", false},
      {"????????????????0002c90300a1b2c3", true},
      {"0x????????????????0002c90300a1b2c3", true},
      {"????????????????0002c90300a1b2c4", false},
      {"11223344556677880002c90300a1b2c?", true},
      {"11223344556677880002c90300a1b2c3*", true},
      {"11223344556677880002c90300a1b2c3?", false},
      {"*11223344556677880002c90300a1b2c3", true},
      {"????????????????????????????????", true},
      {"???????????????????????????????", false},
      {"*????????????????????????????????*", true},
      {"*????????????????????????????????????????*", false},
      {"????????????????", false},
      {"00??c90300a1b2c3", false},  // over the 16 digits of a GUID alone it takes groups
      {"0002:c903:00a1:b2c?", true},
      {"0002:c903:00a1:*", true},
      {"0002:c904:00a1:*", false},
      {"iqn*", false},
      {"*x*", false},
      {"*:*", true},
      {"* ", false},
  };
  check(rows, initiator("10.1.2.3"));
}

TEST(Acl, acl_entry_admits__port_identifiers_without_leading_zeros) {
  InitiatorIdentity who = initiator("10.1.2.3");
  std::fill(who.port_id.begin(), who.port_id.begin() + 8, std::uint8_t{0});
  const Row rows[] = {{"0x0002c90300a1b2c3", true}, {"0x2c90300a1b2c3", true},
                      {"0x02C90300A1B2C3", true},   {"2c90300a1b2c3", false},
                      {"0xc90300a1b2c3", false},    {"0x", false},
                      {"0x2c90300a1b2c", false},    {"0x12c90300a1b2c3", false}};
  check(rows, who);
}

TEST(Acl, acl_entry_admits__only_identifiers_behind_0x) {
  const Row rows[] = {{"0x10*", false}, {"0x*1.2.3", false}, {"0x1*", true}, {"0xfe80*", false},
                      {"0x0*", false},  {"0x*b2c3", true},   {"10*", true},  {"0x*:b2c3", false}};
  check(rows, initiator("10.1.2.3"));
}

TEST(Acl, acl_entry_admits__an_ipv6_address_in_groups_of_four) {
  const Row rows[] = {{"2001:db8:*", true}, {"2001:0db8:*", true}, {"2001:0db9:*", false}};
  check(rows, initiator("2001:db8::1"));
}

TEST(Acl, acl_entry_admits__the_gid_and_its_guid) {
  const InitiatorIdentity who{PortId{}, peer("10.1.2.3"), gid("fe80::2:c903:a1:b2c4")};
  const Row rows[] = {
      {"0002:c903:00a1:b2c4", true},
      {"0002c90300a1b2c4", true},
      {"fe80:0000:0000:0000:0002:c903:00a1:b2c4", true},
      {"fe80:0000:0000:0000:0002:c903:00a1:*", true},
      {"*:b2c?", true},
      {"fe80:0000:0000:0000:0002:c903:00a1:b2c5", false},
      {"0002:c903:00a1:b2c5", false},
      {"fe80:0000:0000:0001:*", false},
  };
  check(rows, who);
  check(std::array<Row, 1>{{{"0000:0000:0000:0000", false}}}, initiator("10.1.2.3", "::"));
}

TEST(Acl, acl_entry_admits__as_exactly_as_it_names_the_initiator) {
  const InitiatorIdentity who = initiator("10.1.2.3");
  const struct {
    std::string_view entry;
    Admission admission;
  } rows[] = {
      {"ALL", Admission::everyone},
      {"*", Admission::everyone},
      {"10.0.0.0/8", Admission::pattern},
      {"10.1.2.*", Admission::pattern},
      {"0x1122*", Admission::pattern},
      {"10.1.2.3", Admission::exact},
      {"10.1.2.3/32", Admission::exact},
      {"fe80::2:c903:a1:b2c3", Admission::exact},
      {"0002:c903:00a1:b2c3", Admission::exact},
      {"0x11223344556677880002c90300a1b2c3", Admission::exact},
      {"!10.1.2.4", Admission::no},
  };
  for (const auto& row : rows) {
    const std::string entry{row.entry};
    CHECK_TRUE_TEXT(row.admission == srp::acl_entry_admits(row.entry, who), entry.c_str());
  }
}

TEST(Acl, acl_entry_admits__nobody_by_any_other_text) {
  const InitiatorIdentity who = initiator("10.1.2.3");
  const std::string zero{"10.1.2.3\0", 9};
  CHECK_FALSE(matches(zero, who));
  CHECK_FALSE(matches(std::string_view{"*\0", 2}, who));
  CHECK_FALSE(matches(std::string_view{"0002c90300a1b2c\0", 16}, who));
  for (std::size_t length = 0; length < 100; ++length) {
    for (const char letter : {'0', ':', '.', '/', '[', ']', '?', '%', '\n', '\x80', '\xff'}) {
      // The identifier, the GUID, the GID and the address have as many letters.
      if (letter == '?' && (length == 32 || length == 19 || length == 39 || length == 8)) continue;
      const std::string text(length, letter);
      CHECK_FALSE_TEXT(matches(text, who), text.c_str());
    }
  }
  CHECK_FALSE(matches(std::string(100000, '1'), who));
}

TEST(Acl, acl_entry_admits__in_bounded_time) {
  std::string stars;
  for (int i = 0; i < 20000; ++i) stars += "*?";
  CHECK_FALSE(matches(stars, initiator("10.1.2.3")));
  CHECK(matches(std::string(100000, '*'), initiator("10.1.2.3")));
}

TEST(Acl, acl_admits__as_the_two_lists_say_together) {
  using List = std::vector<std::string>;
  const List none;
  const List all{"ALL"};
  const List right_address{"192.0.2.1", "10.1.2.3"};
  const List wrong_address{"192.0.2.1", "192.0.2.2"};
  const List right_name{"1122334455667788", "0002c90300a1b2c3"};
  const List wrong_name{"1122334455667788", "nobody"};
  const struct {
    const List& addresses;
    const List& names;
    bool admits;
  } rows[] = {
      {none, none, false},
      {all, none, true},
      {right_address, none, true},
      {wrong_address, none, false},
      {none, right_name, true},
      {none, wrong_name, false},
      {all, right_name, true},
      {all, wrong_name, false},
      {right_address, right_name, true},
      {right_address, wrong_name, false},
      {wrong_address, right_name, false},
      {wrong_address, wrong_name, false},
      {right_name, none, true},  // either list holds any form
      {none, right_address, true},
      {right_name, right_address, true},
      {none, all, true},
  };
  int row_number = 0;
  for (const auto& row : rows) {
    const std::string label = "row " + std::to_string(row_number++);
    const Admission verdict = srp::acl_admits(row.addresses, row.names, initiator("10.1.2.3"));
    CHECK_EQUAL_TEXT(row.admits, verdict != Admission::no, label.c_str());
  }
}

TEST(Acl, acl_admits__as_exactly_as_the_better_entry_does) {
  using List = std::vector<std::string>;
  const InitiatorIdentity who = initiator("10.1.2.3");
  CHECK(srp::acl_admits(List{"ALL"}, {}, who) == Admission::everyone);
  CHECK(srp::acl_admits(List{"ALL"}, List{"10.1.2.3"}, who) == Admission::exact);
  CHECK(srp::acl_admits(List{"10.0.0.0/8", "ALL"}, {}, who) == Admission::pattern);
  CHECK(srp::acl_admits({}, List{"10.0.0.0/8", "10.1.2.3"}, who) == Admission::exact);
}

TEST(Acl, acl_admits__nobody_who_is_excluded) {
  using List = std::vector<std::string>;
  const InitiatorIdentity who = initiator("10.1.2.3");
  CHECK(srp::acl_admits(List{"10.1.2.3", "!10.0.0.0/8"}, {}, who) == Admission::no);
  CHECK(srp::acl_admits(List{"ALL"}, List{"!0002:c903:00a1:b2c3", "10.1.2.3"}, who) ==
        Admission::no);
  CHECK(srp::acl_admits(List{"!10.1.2.3"}, {}, who) == Admission::no);
  CHECK(srp::acl_admits(List{"!ALL"}, {}, who) == Admission::no);
}

TEST(Acl, acl_admits__nobody_where_an_exclusion_cannot_be_understood) {
  using List = std::vector<std::string>;
  const InitiatorIdentity who = initiator("10.1.2.3");
  for (const char* wrong : {"!10.1.2.*/24", "!10.1.2.4 *", "!iqn.2001-04.*", "!fe80::2:c903:*",
                            "!fe80:0:0:0:2:c903:*", "!10.1.2.*,initiator-name=foo", "!0x1.*",
                            "!0x??????????????????????????????????", "!1.2.3.4.*", "!1234.*"}) {
    CHECK_TRUE_TEXT(srp::acl_admits(List{"10.1.2.3", wrong}, {}, who) == Admission::no, wrong);
  }
  for (const char* right :
       {"!10.9.*", "!*4271", "!0x9*", "!fe81:*:b2c3", "!0003:c903:????:*", "!2001:0db8:*"}) {
    CHECK_TRUE_TEXT(srp::acl_admits(List{"10.1.2.3", right}, {}, who) == Admission::exact, right);
  }
  for (const char* wrong : {"!", "!10.1.2.4/24", "!host", "!0x", "!0xg", "!0002:c903:00a1:b2cg",
                            "!0002-c903:00a1:b2c4", "!0002c90300a1b2cg", "!!10.1.2.4"}) {
    CHECK_TRUE_TEXT(srp::acl_admits(List{"10.1.2.3", wrong}, {}, who) == Admission::no, wrong);
  }
}

TEST(Acl, acl_admits__those_who_are_not_excluded_where_nothing_else_is_said) {
  using List = std::vector<std::string>;
  const InitiatorIdentity who = initiator("10.1.2.3");
  CHECK(srp::acl_admits(List{"!10.1.2.4"}, {}, who) == Admission::pattern);
  CHECK(srp::acl_admits(List{"!10.1.2.4", "192.0.2.1"}, {}, who) == Admission::no);
  CHECK(srp::acl_admits(List{"ALL"}, List{"!10.1.2.4"}, who) == Admission::pattern);
  CHECK(srp::acl_admits(List{"!0x1", "!10.9.*"}, {}, who) == Admission::pattern);
}

TEST(Acl, to_string__is_0x_and_32_lower_case_digits) {
  CHECK_EQUAL(std::string{"0x11223344556677880002c90300a1b2c3"}, srp::to_string(port_id));
  CHECK_EQUAL("0x" + std::string(32, '0'), srp::to_string(PortId{}));
  CHECK(matches(srp::to_string(port_id), initiator("10.1.2.3")));
}

TEST(Acl, acl_entry_admits__who_comes_by_gid_has_no_ip_address) {
  InitiatorIdentity who = initiator("10.0.0.1");
  who.address = srp::fake::gid_address(1, 2);
  who.gid = *srp::bytes_of(who.address);
  constexpr Row rows[] = {
      {"fe80:0000:0000:0000:0002:c903:0000:0102", true},
      {"fe80::2:c903:0:102", true},
      {"0002:c903:0000:0102", true},
      {"fe80:*:0102", true},
      {"ALL", true},
      {"fe80::/10", false},
      {"::/0", false},
      {"10.0.0.1", false},
  };
  check(rows, who);
  auto& ib = reinterpret_cast<sockaddr_ib&>(who.address);
  who.gid = *srp::address_from_text("::ffff:10.0.0.1");
  std::memcpy(&ib.sib_addr, who.gid.data(), who.gid.size());
  constexpr Row claims[] = {{"10.0.0.1", false}, {"10.0.0.0/24", false}, {"10.0.0.*", false}};
  check(claims, who);
}
