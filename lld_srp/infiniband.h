// Ports whose link layer is InfiniBand: an initiator reaches those by their GID, through
// InfiniBand's own connection manager, without any IP address.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lld_srp/path.h"

namespace srp {

// What RDMA/CM listens on for connection requests to `service` that name no IP address: all
// InfiniBand ports of the host, also those that come later.
sockaddr_storage infiniband_address(std::uint16_t service);
// The service ID that those requests carry. RDMA/CM leaves 16 bits of it to us.
std::uint64_t infiniband_service_id(std::uint16_t service) noexcept;

// The local end of what comes in there: one for each active port and each partition that it is a
// member of. Devices that cannot be asked have none.
std::vector<Path> infiniband_paths();

// What add_target wants to know of the way, as in "dgid=...,pkey=ffff,service_id=...".
// Precondition: one of infiniband_paths().
std::string infiniband_destination(const Path& path, std::uint16_t service);

}  // namespace srp
