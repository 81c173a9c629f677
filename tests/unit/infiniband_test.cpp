// InfiniBand ports, and how an initiator is told of them.
#include "lld_srp/infiniband.h"

#include <infiniband/ib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/unit/harness.h"
#include "tests/unit/tgtd_fixture.h"

using srp::Path;

TEST_GROUP_BASE(Infiniband, srp::test::TgtdTest) {
  srp::fake::Hca& hca = world.fabric->add_hca();

  void setup() override { hca.infiniband = true; }
  void teardown() override { world.fabric->expect_nothing_left(); }
};

TEST(Infiniband, infiniband_address__is_any_port_of_the_service) {
  const sockaddr_storage address = srp::infiniband_address(5000);
  const auto& ib = reinterpret_cast<const sockaddr_ib&>(address);
  CHECK_EQUAL(AF_IB, int{address.ss_family});
  CHECK_EQUAL(0x00000000013f1388U, be64toh(ib.sib_sid));
  CHECK_EQUAL(~std::uint64_t{0}, std::uint64_t{ib.sib_sid_mask});
  CHECK_EQUAL(std::string{"::"}, srp::to_string(address));
}

TEST(Infiniband, infiniband_paths__one_for_each_partition) {
  hca.pkeys = {0xffff, 0x0001, 0, 0x8001, 0x7fff, 0x8000, 0x0002};
  const auto paths = srp::infiniband_paths();
  const std::uint16_t expected[] = {0xffff, 0x8001, 0x0002};
  CHECK_EQUAL(std::size(expected), paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    CHECK_EQUAL(expected[i], paths[i].pkey);
    CHECK_TRUE(paths[i].by_gid());
    CHECK_EQUAL(std::string{"fe80::1"}, srp::to_string(paths[i].local));
    CHECK_EQUAL(std::string{"fe80::1"}, srp::address_text(paths[i].local_gid));
    CHECK_EQUAL(1, int{paths[i].device_port});
    CHECK_EQUAL(std::string{hca.device.name}, paths[i].device);
    CHECK_TRUE(paths[i].node_guid != 0);
  }
}

TEST(Infiniband, infiniband_paths__of_every_device_that_has_such_ports) {
  world.fabric->add_hca();  // Ethernet
  srp::fake::Hca& other = world.fabric->add_hca();
  other.infiniband = true;
  CHECK_EQUAL(2U, srp::infiniband_paths().size());
  other.device.transport_type = IBV_TRANSPORT_IWARP;
  CHECK_EQUAL(1U, srp::infiniband_paths().size());
  world.fabric->remove(hca);
  CHECK_TRUE(srp::infiniband_paths().empty());
}

TEST(Infiniband, infiniband_paths__devices_that_sysfs_knows_to_have_none_are_not_opened) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("srp-ib-" + std::to_string(getpid()));
  const auto port = [&folder](int number, const char* link_layer) {
    create_directories(folder / "ports" / std::to_string(number));
    std::ofstream{folder / "ports" / std::to_string(number) / "link_layer"} << link_layer << '\n';
  };
  std::snprintf(hca.device.ibdev_path, sizeof hca.device.ibdev_path, "%s", folder.c_str());
  port(1, "Ethernet");
  CHECK_TRUE(srp::infiniband_paths().empty());
  port(2, "InfiniBand");
  CHECK_EQUAL(1U, srp::infiniband_paths().size());
  remove_all(folder);
}

TEST(Infiniband, infiniband_paths__none_of_a_device_that_cannot_be_asked) {
  world.faults.set(srp::fake::Fault::create, 1);
  CHECK_TRUE(srp::infiniband_paths().empty());
}

TEST(Infiniband, infiniband_destination__is_what_add_target_takes) {
  Path path;
  path.local_gid = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 2, 0xc9, 3, 0, 0xa1, 0xb2, 0xc3};
  path.pkey = 0x8001;
  CHECK_EQUAL(
      std::string{"dgid=fe800000000000000002c90300a1b2c3,pkey=8001,service_id=00000000013f1389"},
      srp::infiniband_destination(path, 5001));
}
