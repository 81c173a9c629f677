// Which target names are those of ports, and of which.
#include "lld_srp/port_name.h"

#include <arpa/inet.h>

#include <cstring>

#include "CppUTest/TestHarness.h"

using srp::Path;
using srp::PortName;

namespace {

// A port with the GID fe80::2:c903:a1:b2c3 and the address 10.0.0.1 of node 0002c90300a1b2c0.
Path port() {
  Path path;
  path.local_gid = *srp::address_from_text("fe80::2:c903:a1:b2c3");
  path.node_guid = 0x0002c90300a1b2c0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, "10.0.0.1", &address.sin_addr);
  std::memcpy(&path.local, &address, sizeof address);
  return path;
}

}  // namespace

TEST_GROUP(PortName){};

TEST(PortName, names__the_port_in_every_spelling) {
  for (const char* name :
       {"fe80:0000:0000:0000:0002:c903:00a1:b2c3", "FE80:0000:0000:0000:0002:C903:00A1:B2C3",
        "fe80::2:c903:a1:b2c3", "0xfe800000000000000002c90300a1b2c3",
        "fe800000000000000002c90300a1b2c3", "ib.fe800000000000000002c90300a1b2c3",
        "ib.fe80:0000:0000:0000:0002:c903:00a1:b2c3", "0002:c903:00a1:b2c3", "0x0002c90300a1b2c3",
        "0002c90300a1b2c3", "0002:c903:00a1:b2c0", "10.0.0.1", "10.0.0.1-group1",
        "0x0002:c903:00a1:b2c3", "0002:c903:00a1:b2c3-a-b",
        "fe80:0000:0000:0000:0002:c903:00a1:b2c3-"}) {
    const auto parsed = PortName::parse(name);
    CHECK_TRUE_TEXT(parsed && parsed->names(port()), name);
  }
}

TEST(PortName, names__the_port_by_its_first_gid_whatever_address_is_used) {
  Path path = port();
  path.port_gid = path.local_gid;
  path.local_gid = *srp::address_from_text("::ffff:10.0.0.1");
  path.node_guid = 0;
  CHECK_TRUE(PortName::parse("fe80:0000:0000:0000:0002:c903:00a1:b2c3")->names(path));
  CHECK_TRUE(PortName::parse("0002:c903:00a1:b2c3")->names(path));
  CHECK_TRUE(PortName::parse("::ffff:10.0.0.1")->names(path));
  CHECK_FALSE(PortName::parse("fe80:0000:0000:0000:0002:c903:00a1:b2c4")->names(path));
}

TEST(PortName, names__no_other_port) {
  for (const char* name :
       {"fe80:0000:0000:0000:0002:c903:00a1:b2c4", "fe80:0000:0000:0001:0002:c903:00a1:b2c3",
        "0xfe800000000000000002c90300a1b2c4", "0002:c903:00a1:b2c4", "0002c90300a1b2c4", "10.0.0.2",
        "10.0.0.2-10.0.0.1"}) {
    const auto parsed = PortName::parse(name);
    CHECK_TRUE_TEXT(parsed && !parsed->names(port()), name);
  }
}

TEST(PortName, parse__is_nothing_for_other_names) {
  for (const char* name :
       {"", "-", "iqn.2026-11.example:disk1", "ib.", "ib.disk", "10.0.0", "10.0.0.1.2",
        "0002:c903:00a1", "0002:c903:00a1:b2cg", "00020c903:0a1:b2c3", "0002c90300a1b2c",
        "0xfe800000000000000002c90300a1b2c", "fe800000000000000002c90300a1b2c3f", "disk-10.0.0.1",
        "0x", "zzzzzzzzzzzzzzzz", "::", "0000000000000000"}) {
    CHECK_FALSE_TEXT(PortName::parse(name).has_value(), name);
  }
}

TEST(PortName, names__nothing_that_a_path_does_not_know) {
  CHECK_FALSE(PortName::parse("10.0.0.1")->names(Path{}));
  CHECK_TRUE(PortName::parse("0002:c903:00a1:b2c3").has_value());
  CHECK_FALSE(PortName::parse("0002:c903:00a1:b2c3")->names(Path{}));
}
