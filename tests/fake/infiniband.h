// Logins in InfiniBand's own terms: a GID for an address, a service ID for a port, and
// SRP_LOGIN_REQ in the standard's form. Written by hand, apart from the driver's layouts.
#pragma once

#include <infiniband/ib.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lld_srp/wire.h"

namespace srp::fake {

// A port is the 16 bits of a service ID that RDMA/CM leaves to its users.
inline std::uint16_t port_of(const sockaddr_storage& address) {
  if (address.ss_family != AF_IB)
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  const auto& ib = reinterpret_cast<const sockaddr_ib&>(address);
  return static_cast<std::uint16_t>(be64toh(ib.sib_sid & ib.sib_sid_mask));
}

// The link-local GID that ends in these bytes.
inline sockaddr_storage gid_address(std::uint8_t host, std::uint8_t last) {
  sockaddr_storage address{};
  auto& ib = reinterpret_cast<sockaddr_ib&>(address);
  ib.sib_family = AF_IB;
  const std::uint8_t gid[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 2, 0xc9, 3, 0, 0, host, last};
  std::memcpy(&ib.sib_addr, gid, sizeof gid);
  return address;
}

// The 64 bytes that say what the request says.
inline std::vector<std::uint8_t> in_ib_form(const wire::LoginReqRdma& request) {
  std::uint8_t rdma[sizeof request];
  std::memcpy(rdma, &request, sizeof rdma);
  std::vector<std::uint8_t> ib(64);
  const auto copy = [&](std::size_t from, std::size_t to, std::size_t bytes) {
    std::copy_n(&rdma[from], bytes, &ib[to]);
  };
  copy(11, 0, 1);    // opcode
  copy(0, 8, 8);     // tag
  copy(12, 16, 4);   // IU length
  copy(8, 24, 3);    // formats, flags
  copy(48, 28, 2);   // immediate data offset
  copy(16, 32, 32);  // port identifiers
  return ib;
}

}  // namespace srp::fake
