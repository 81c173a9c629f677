// Who may log in to a target: tgt's two lists (addresses, -I, and names, -Q) against an initiator.
// Values in, verdict out; listener.cpp asks, nothing here keeps state.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace srp {

using PortId = std::array<std::uint8_t, 16>;  // an SRP port identifier, wire order

// What is known of an initiator when it asks to log in.
struct InitiatorIdentity {
  PortId port_id{};                    // initiator port identifier: extension, GUID
  sockaddr_storage address{};          // the peer's address (RDMA/CM)
  std::array<std::uint8_t, 16> gid{};  // the peer's GID; zero: unknown
};

// How an initiator is admitted; the more exactly it is named, the greater.
enum class Admission : std::uint8_t {
  no,
  everyone,  // by ALL or *
  pattern,   // by a network, a wildcard, or because it is not excluded
  exact,     // by its own identifier or address
};

// What one entry of either list says of the initiator. Understood, case-insensitively, in every
// spelling that SCST's groups and LIO's node ACLs know:
//   ALL, *                                everyone
//   10.0.0.1, 10.0.0.0/24, 2001:db8::/32  address; also [v6]; host bits must be 0; without /n also
//                                         the GID, where RoCE has 10.0.0.1 as ::ffff:10.0.0.1
//   0x + up to 32 hex, 32 hex             initiator port identifier; shorter ones are those that
//                                         begin with zeros
//   16 hex, xxxx:xxxx:xxxx:xxxx           GUID half of the initiator port identifier or of the GID
//   * and ? in any of these               wildcard; behind 0x over the 32 hex digits, else also
//                                         over the GUIDs, GID and IPv6 address in groups of four
//                                         digits, and over the address as it is printed
// An entry that is none of these admits nobody. Eight groups of hex are always an address. A
// leading ! makes sense in a list only, see acl_admits(); here it makes an entry none of these.
Admission acl_entry_admits(std::string_view entry, const InitiatorIdentity& initiator);

// tgt-admin binds the address ALL to every target that configures no initiator-address, also when
// initiator-name entries are there. So: both lists empty: nobody. Names only, or names with exactly
// {"ALL"} as addresses: a name must match. Addresses only: an address must match. Both specific:
// one of each must match. In short: every list that is not empty must hold a match, and one must
// not be empty. Either list may hold any form of entry. The more exact of the two is returned.
//
// "!entry" excludes whom the entry matches, whatever else is in the lists, and everybody if it is
// no entry; a list of nothing but such entries holds a match for everybody else.
Admission acl_admits(std::span<const std::string> addresses, std::span<const std::string> names,
                     const InitiatorIdentity& initiator);

// "0x" and 32 hex digits.
std::string to_string(const PortId& id);

}  // namespace srp
