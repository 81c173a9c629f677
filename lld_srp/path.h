// The two ends of an RDMA/CM connection, copied out of its identifier, which does not outlive it.
#pragma once

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
};

// On the passive side RDMA/CM keeps the local end as the source.
Path path_of(rdma_cm_id& id);

}  // namespace srp
