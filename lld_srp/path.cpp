#include "lld_srp/path.h"

#include <arpa/inet.h>

#include <cstring>

namespace srp {

void describe_port(ibv_context& context, std::uint8_t port, Path& path) {
  ibv_gid first{};
  static_assert(sizeof path.port_gid == sizeof first.raw);
  if (ibv_query_gid(&context, port, 0, &first) == 0) {
    std::memcpy(path.port_gid.data(), first.raw, path.port_gid.size());
  }
  path.device_port = port;
  path.device = ibv_get_device_name(context.device);
  const std::uint64_t guid = ibv_get_device_guid(context.device);  // big endian
  for (std::size_t i = 0; i < sizeof guid; ++i) {
    path.node_guid = path.node_guid << 8 | reinterpret_cast<const std::uint8_t*>(&guid)[i];
  }
}

Path path_of(rdma_cm_id& id) {
  Path path;
  const rdma_addr& addr = id.route.addr;
  path.peer = addr.dst_storage;
  path.peer_port = ntohs(rdma_get_dst_port(&id));
  path.local = addr.src_storage;
  static_assert(sizeof path.peer_gid == sizeof addr.addr.ibaddr.dgid.raw);
  std::memcpy(path.peer_gid.data(), addr.addr.ibaddr.dgid.raw, path.peer_gid.size());
  std::memcpy(path.local_gid.data(), addr.addr.ibaddr.sgid.raw, path.local_gid.size());
  path.device_port = id.port_num;
  if (id.verbs == nullptr) return path;
  if (id.verbs->device->transport_type != IBV_TRANSPORT_IWARP) {
    path.pkey = ntohs(addr.addr.ibaddr.pkey);
  }
  describe_port(*id.verbs, id.port_num, path);
  return path;
}

}  // namespace srp
