// What a target must refuse of an SRP_LOGIN_REQ, read off its bytes alone and written apart from
// the driver's own parser.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "lld_srp/wire.h"

namespace srp::fake {

struct LoginRules {
  std::uint32_t iu_bytes_max;  // that the target takes
  std::vector<wire::PortId> target_ports;
  bool rev10_port_ids = false;  // identifiers in the order of SRP revision 10 are taken as well
};

// Offsets of the 56-byte form that RDMA/CM carries.
namespace login_at {
inline constexpr std::size_t formats = 8;
inline constexpr std::size_t flags = 10;
inline constexpr std::size_t opcode = 11;
inline constexpr std::size_t iu_bytes = 12;
inline constexpr std::size_t initiator_port = 16;
inline constexpr std::size_t target_port = 32;
inline constexpr std::size_t immediate_offset = 48;
inline constexpr std::size_t end = 56;
}  // namespace login_at

inline std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

// A port identifier in the other order, that of SRP revision 10 or that of today.
inline wire::PortId swapped(wire::PortId id) {
  std::swap_ranges(id.begin(), id.begin() + 8, id.begin() + 8);
  return id;
}

// The port identifiers of a request, in today's order.
struct LoginPorts {
  wire::PortId initiator;
  wire::PortId target;
  bool known;  // the target has this port
};

// A name in today's order is never read in the other one. Precondition: 56 bytes.
inline LoginPorts ports_of(std::span<const std::uint8_t> data, const LoginRules& rules) {
  LoginPorts ports{};
  std::ranges::copy(data.subspan(login_at::initiator_port, 16), ports.initiator.begin());
  std::ranges::copy(data.subspan(login_at::target_port, 16), ports.target.begin());
  const auto have = [&](const wire::PortId& id) {
    return std::ranges::count(rules.target_ports, id) != 0;
  };
  ports.known = have(ports.target);
  if (!ports.known && rules.rev10_port_ids && have(swapped(ports.target))) {
    return {swapped(ports.initiator), swapped(ports.target), true};
  }
  return ports;
}

// Does the request ask for solicited notification of anything? Precondition: 56 bytes.
inline bool asks_for_solicited(std::span<const std::uint8_t> data) {
  return (data[login_at::flags] & 0x70) != 0;
}

// Does it ask for immediate data where there can be some: behind the head of an SRP_CMD and a
// length, in whole words, and within the IU? Precondition: 56 bytes.
inline bool asks_for_immediate(std::span<const std::uint8_t> data, const LoginRules& rules) {
  const std::uint32_t offset = big_endian(data.subspan(login_at::immediate_offset, 2));
  return (data[login_at::flags] & 0x80) != 0 && offset >= 52 && offset % 4 == 0 &&
         offset < rules.iu_bytes_max;
}

// All reasons for which the request by itself must be refused; where there are several, the target
// may name any.
inline std::vector<wire::LoginRejReason> reasons_to_refuse(std::span<const std::uint8_t> data,
                                                           const LoginRules& rules) {
  using Reason = wire::LoginRejReason;
  constexpr std::uint32_t smallest = 64;  // a command with one direct descriptor
  if (data.size() < login_at::end) return {Reason::unspecified};
  std::vector<Reason> reasons;
  const std::uint32_t iu_bytes = big_endian(data.subspan(login_at::iu_bytes, 4));
  if (data[login_at::opcode] != 0 || (data[login_at::flags] & 0x03) > 1 || iu_bytes < smallest) {
    reasons.push_back(Reason::unspecified);
  }
  if (iu_bytes > rules.iu_bytes_max) reasons.push_back(Reason::iu_too_large);
  // Direct and indirect; 0x0200 is direct in the byte order of iPXE.
  const std::uint32_t formats = big_endian(data.subspan(login_at::formats, 2));
  if (formats != 0x0200 && (formats & ~0x0006U) != 0) {
    reasons.push_back(Reason::unsupported_format);
  }
  if (!ports_of(data, rules).known) reasons.push_back(Reason::unable_to_associate);
  return reasons;
}

}  // namespace srp::fake
