// What is copied out of an RDMA/CM identifier.
#include "lld_srp/path.h"

#include <arpa/inet.h>

#include "tests/unit/harness.h"
#include "tests/unit/tgtd_fixture.h"

using srp::Path;

TEST_GROUP_BASE(Path, srp::test::DeviceTest) {
  rdma_cm_id id{};

  void setup() override {
    id.verbs = context;
    id.port_num = 2;
    auto& addr = id.route.addr;
    addr.src_sin.sin_family = addr.dst_sin.sin_family = AF_INET;
    inet_pton(AF_INET, "10.0.0.1", &addr.src_sin.sin_addr);
    inet_pton(AF_INET, "10.0.1.1", &addr.dst_sin.sin_addr);
    addr.dst_sin.sin_port = htons(40001);
    addr.addr.ibaddr.sgid.raw[15] = 1;
    addr.addr.ibaddr.dgid.raw[15] = 2;
    addr.addr.ibaddr.pkey = htons(0x8001);
  }
};

TEST(Path, path_of__has_both_ends) {
  const Path path = srp::path_of(id);
  CHECK_EQUAL(std::string{"10.0.1.1"}, srp::to_string(path.peer));
  CHECK_EQUAL(40001, path.peer_port);
  CHECK_EQUAL(std::string{"10.0.0.1"}, srp::to_string(path.local));
  CHECK_EQUAL(1, int{path.local_gid[15]});
  CHECK_EQUAL(2, int{path.peer_gid[15]});
  CHECK_EQUAL(0x8001, path.pkey);
  CHECK_EQUAL(std::string{ibv_get_device_name(context->device)}, path.device);
  CHECK_EQUAL(2, int{path.device_port});
  CHECK_EQUAL(std::string{"fe80::2"}, srp::address_text(path.port_gid));
}

TEST(Path, path_of__has_the_node_guid_in_host_order) {
  const std::uint64_t guid = srp::path_of(id).node_guid;
  CHECK_EQUAL(guid, be64toh(ibv_get_device_guid(context->device)));
  CHECK_TRUE(guid != 0);
}

TEST(Path, path_of__knows_no_partition_over_iwarp) {
  context->device->transport_type = IBV_TRANSPORT_IWARP;
  CHECK_EQUAL(0, srp::path_of(id).pkey);
}

TEST(Path, path_of__without_a_device) {
  id.verbs = nullptr;
  const Path path = srp::path_of(id);
  CHECK_TRUE(path.device.empty());
  CHECK_EQUAL(0U, path.node_guid);
  CHECK_EQUAL(0, path.pkey);
}
