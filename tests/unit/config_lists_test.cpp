// The portals and targets of srp.conf, and the identifiers in them.
#include <string>

#include "lld_srp/config.h"
#include "tests/unit/config_fixture.h"

using srp::Portal;
using srp::Settings;
using srp::test::contains;

TEST_GROUP_BASE(ConfigLists, srp::test::ConfigTest){};

TEST(ConfigLists, portals__are_accepted_in_every_form) {
  const struct {
    const char* text;
    Portal portal;
  } rows[] = {
      {"10.0.0.1", {"10.0.0.1", 5000}},
      {"10.0.0.1:5001", {"10.0.0.1", 5001}},
      {"10.0.0.1:1", {"10.0.0.1", 1}},
      {"10.0.0.1:65535", {"10.0.0.1", 65535}},
      {"*", {"", 5000}},
      {"*:5001", {"", 5001}},
      {"[2001:DB8:0::1]", {"2001:db8::1", 5000}},
      {"[2001:db8::1]:5001", {"2001:db8::1", 5001}},
      {"[fe80::1%eth0]", {"fe80::1%eth0", 5000}},
      {"[fe80::1%0]", {"fe80::1%0", 5000}},
      {"[fe80::1%eth0]:5001", {"fe80::1%eth0", 5001}},
  };
  for (const auto& row : rows) {
    const Settings settings = good(std::string{"portals = [ \""} + row.text + "\" ];");
    CHECK_EQUAL_TEXT(1u, settings.portals.size(), row.text);
    CHECK_TEXT(row.portal == settings.portals[0], row.text);
  }
}

TEST(ConfigLists, portals__without_a_port_take_rdma_cm_port_wherever_it_stands) {
  const Settings settings = good("portals = [ \"10.0.0.1\", \"*:7\" ]; rdma_cm_port = 9;");
  CHECK_EQUAL(2u, settings.portals.size());
  CHECK((Portal{"10.0.0.1", 9}) == settings.portals[0]);
  CHECK((Portal{"", 7}) == settings.portals[1]);
  CHECK(good("portals = [ ];").portals.empty());
}

TEST(ConfigLists, portals__that_are_no_address_or_port_are_refused) {
  const struct {
    const char* text;
    const char* why;
  } rows[] = {
      {"", "not a numeric address"},
      {"host.example", "not a numeric address"},
      {"10.0.0", "not a numeric address"},
      {"10.0.0.256:5000", "not a numeric address"},
      {"10.0.0.1 ", "not a numeric address"},
      {":5000", "not a numeric address"},
      {"**", "not a numeric address"},
      {"10.0.0.1:", "its port is not 1 to 65535"},
      {"10.0.0.1:0", "its port is not 1 to 65535"},
      {"10.0.0.1:65536", "its port is not 1 to 65535"},
      {"10.0.0.1:-1", "its port is not 1 to 65535"},
      {"10.0.0.1:50x", "its port is not 1 to 65535"},
      {"*:x", "its port is not 1 to 65535"},
      {"[::1]:", "its port is not 1 to 65535"},
      {"[::1]5000", "its port is not 1 to 65535"},
      {"[::1]/5000", "its port is not 1 to 65535"},
      {"2001:db8::1", "an IPv6 address without its brackets"},
      {"10.0.0.1:5000:5001", "an IPv6 address without its brackets"},
      {"[::1", "no closing bracket"},
      {"[]", "not a numeric IPv6 address"},
      {"[10.0.0.1]", "not a numeric IPv6 address"},
      {"[::g]:5000", "not a numeric IPv6 address"},
      {"[fe80::1]", "a link-local address, and only that, needs %interface"},
      {"[fe80::1%]", "a link-local address, and only that, needs %interface"},
      {"[2001:db8::1%eth0]", "a link-local address, and only that, needs %interface"},
  };
  for (const auto& row : rows) {
    const std::string value = "\"" + std::string{row.text} + "\"";
    const std::string remedy =
        only_mistake("\nportals = [ " + value + " ];", 2, "portals[0] = " + value + ": " + row.why);
    CHECK(contains(remedy, "\"[fe80::1%eth0]\", \"ib\" or \"*\""));
  }
}

TEST(ConfigLists, portals__of_another_type_are_refused) {
  CHECK(contains(only_mistake("portals = \"*\";", 1, "portals = \"*\": not an array"), "[ \"10"));
  only_mistake("portals = ( \"*\" );", 1, "portals = (...): not an array");
  only_mistake("portals = [ 5000 ];", 1, "portals[0] = ...: not a string");
}

TEST(ConfigLists, portals__that_cover_each_other_are_refused) {
  const std::string covered = ": an earlier portal covers this one";
  const std::string first = "portals = [ \"10.0.0.1\",";
  only_mistake(first + "\"10.0.0.1:5000\" ];", 1, "portals[1] = \"10.0.0.1:5000\"" + covered);
  only_mistake(first + "\"*\" ];", 1, "portals[1] = \"*\"" + covered);
  only_mistake("portals = [ \"*\", \"10.0.0.1\" ];", 1, "portals[1] = \"10.0.0.1\"" + covered);
  only_mistake("portals = [ \"[::1]\", \"[0:0::1]\" ];", 1, "portals[1] = \"[0:0::1]\"" + covered);
  only_mistake("\n" + first + "\n\"*:1\", \"*:1\" ];", 2, "portals[2] = \"*:1\"" + covered);
  CHECK_EQUAL(3u, good(first + "\"10.0.0.1:5001\", \"10.0.0.2\" ];").portals.size());
}

TEST(ConfigLists, guid__is_accepted_in_every_form) {
  const char* const texts[] = {
      "0002c90300a1b2c3",   "0002C90300A1B2C3",    "0x0002c90300a1b2c3",
      "0X0002c90300a1b2c3", "0002:c903:00a1:b2c3", "0x0002:c903:00A1:b2c3",
  };
  for (const char* const text : texts) {
    const std::string quoted = "\"" + std::string{text} + "\"";
    const Settings settings =
        good("srpt_service_guid = " + quoted + "; targets = ( { name = \"a\"; " +
             "ioc_guid = " + quoted + "; }, { name = \"b\"; id_ext = " + quoted + "; } );");
    constexpr std::uint64_t guid = 0x0002c90300a1b2c3;
    CHECK_TRUE_TEXT(settings.srpt_service_guid == guid, text);
    CHECK_TRUE_TEXT(settings.targets[0].ioc_guid == guid && !settings.targets[0].id_ext, text);
    CHECK_TRUE_TEXT(settings.targets[1].id_ext == guid && !settings.targets[1].ioc_guid, text);
  }
  CHECK(good("srpt_service_guid = \"ffffffffffffffff\";").srpt_service_guid == ~std::uint64_t{0});
}

TEST(ConfigLists, guid__that_is_not_16_hex_digits_is_refused) {
  const char* const texts[] = {
      "",
      "0x",
      "0002c90300a1b2c",
      "0002c90300a1b2c30",
      "0002c90300a1b2cg",
      "-002c90300a1b2c3",
      " 002c90300a1b2c3",
      "0x0x02c90300a1b2",
      "0002:c903:00a1:b2c",
      "0002:c903:00a1-b2c3",
      "0002:c903-00a1:b2c3",
      "0002-c903:00a1:b2c3",
      "00:02c9:0300:a1b2:c3",
      "00:02:c9:03:00:a1:b2:c3",
      "0002:c903:00a1:b:2c3",
  };
  for (const char* const text : texts) {
    const std::string setting = "srpt_service_guid = \"" + std::string{text} + "\"";
    only_mistake(setting + ";", 1, setting + ": not a string of 16 hexadecimal digits");
  }
  CHECK_EQUAL(
      std::string{"write ioc_guid = \"0002c90300a1b2c3\", in quotes and with your own digits"},
      only_mistake("targets = (\n{ name = \"a\";\nioc_guid = 0x0002c90300a1b2c3; } );", 3,
                   "targets[0].ioc_guid = 0x0002c90300a1b2c3: "
                   "not a string of 16 hexadecimal digits"));
}

TEST(ConfigLists, targets__are_read_in_order) {
  const Settings settings = good(
      "targets = ( { name = \"iqn.a\"; id_ext = \"0000000000000001\"; },"
      "            { ioc_guid = \"0000000000000002\"; name = \"iqn.b\"; } );");
  CHECK_EQUAL(2u, settings.targets.size());
  CHECK_EQUAL(std::string{"iqn.a"}, settings.targets[0].name);
  CHECK(settings.targets[0].id_ext == 1u && !settings.targets[0].ioc_guid);
  CHECK_EQUAL(std::string{"iqn.b"}, settings.targets[1].name);
  CHECK(!settings.targets[1].id_ext && settings.targets[1].ioc_guid == 2u);
}

TEST(ConfigLists, targets__of_another_type_are_refused) {
  CHECK(contains(only_mistake("targets = { };", 1, "targets = {...}: not a list of groups"),
                 "= ( {"));
  only_mistake("targets = [ ];", 1, "targets = [...]: not a list of groups");
  only_mistake("\ntargets = ( { name = \"a\"; },\n\"b\" );", 2, "targets[1] = \"b\": not a group");
}

TEST(ConfigLists, targets__without_a_name_are_refused) {
  const std::string remedy = "write name = \"...\", as in tgtadm --targetname";
  CHECK_EQUAL(remedy, only_mistake("targets = (\n{ } );", 2, "targets[0].name: missing"));
  CHECK_EQUAL(remedy, only_mistake("targets = ( { name = \"\"; } );", 1,
                                   "targets[0].name = \"\": not a name in quotes"));
  CHECK_EQUAL(remedy, only_mistake("targets = ( { name = 5; } );", 1,
                                   "targets[0].name = 5: not a name in quotes"));
}

TEST(ConfigLists, targets__of_one_name_are_refused) {
  only_mistake("targets = ( { name = \"a\"; }, { name = \"A\"; },\n{\nname = \"a\"; } );", 3,
               "targets[2].name = \"a\": the name of targets[0] too");
}

TEST(ConfigLists, targets__may_share_a_port) {
  const std::string port = "id_ext = \"0000000000000001\"; ioc_guid = \"0000000000000007\"; }";
  const auto settings =
      good("targets = ( { name = \"a\"; " + port + ", { name = \"b\"; " + port + " );");
  CHECK_EQUAL(2u, settings.targets.size());
  CHECK(settings.targets[1].id_ext == 1u && settings.targets[1].ioc_guid == 7u);
}

TEST(ConfigLists, pkeys__are_four_hexadecimal_digits) {
  const auto settings = good(
      "targets = ( { name = \"a\"; pkeys = [ \"8001\", \"0xffff\", \"0x0002\" ]; },"
      "{ name = \"b\"; pkeys = []; }, { name = \"c\"; } );");
  const std::vector<std::uint16_t> expected{0x8001, 0xffff, 0x0002};
  CHECK_TRUE(settings.targets[0].pkeys == expected);
  CHECK_TRUE(settings.targets[1].pkeys.empty());
  CHECK_TRUE(settings.targets[2].pkeys.empty());
}

TEST(ConfigLists, pkeys__that_are_none_are_refused) {
  for (const char* wrong :
       {"\"\"", "\"1\"", "\"08001\"", "\"800g\"", "\"0x\"", "\"0000\"", "\"8000\"", "\"-001\""}) {
    const std::string text = wrong;
    only_mistake("targets = ( { name = \"a\";\npkeys = ( \"8001\", " + text + " ); } );", 2,
                 "targets[0].pkeys[1] = " + text + ": not a partition key");
  }
  only_mistake("targets = ( { name = \"a\"; pkeys = \"8001\"; } );", 1,
               "targets[0].pkeys = \"8001\": not a list of partition keys");
}
