// The two ends of a connection, copied out of its identifier, which does not outlive it.
#pragma once

#include <infiniband/ib.h>
#include <rdma/rdma_cma.h>

#include <cstdint>
#include <string>

#include "lld_srp/address.h"

namespace srp {

struct Path {
  sockaddr_storage peer{};      // the initiator's address
  std::uint16_t peer_port = 0;  // host order
  sockaddr_storage local{};
  Bytes16 peer_gid{};  // over iWARP: the MAC address; zero: unknown
  Bytes16 local_gid{};
  Bytes16 port_gid{};  // the first of the device's port, which ib_srpt calls it by; zero: unknown
  std::uint16_t pkey = 0;        // partition; 0: iWARP has none
  std::string device;            // empty: not bound to one
  std::uint8_t device_port = 0;  // from 1 on
  std::uint64_t node_guid = 0;   // of the device

  // Its ends are GIDs, not IP addresses: it was asked for by InfiniBand's own CM.
  [[nodiscard]] bool by_gid() const noexcept { return local.ss_family == AF_IB; }
};

// On the passive side RDMA/CM keeps the local end as the source.
Path path_of(rdma_cm_id& id);
// Fills in what is known of a path from the port of a device that it uses.
void describe_port(ibv_context& context, std::uint8_t port, Path& path);

}  // namespace srp
