// Network addresses, GIDs and GUIDs, and their text as administrators and ib_srp's add_target write
// it.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace srp {

// "10.0.0.1", "fe80::1%eth0", a GID as an IPv6 address; "?" for other families. No port.
std::string to_string(const sockaddr_storage& address);
// "10.0.0.1:5000" or "[fe80::1%eth0]:5000"; port 0: the address alone.
std::string with_port(const std::string& address, unsigned port);

// An IPv6 address or a GID, in wire order. IPv4 is held as ::ffff:a.b.c.d, so that a peer of a
// dual-stack listener is the same peer, and as RoCE and iWARP have it in a GID.
using Bytes16 = std::array<std::uint8_t, 16>;

bool is_ipv4(const Bytes16& address);
// Dotted quad, or IPv6 with or without brackets; nothing else, no scope.
std::optional<Bytes16> address_from_text(std::string_view text);
// Of AF_IB the GID. Nothing for other families.
std::optional<Bytes16> bytes_of(const sockaddr_storage& address);
// As inet_ntop() writes it, lower case; dotted where it is IPv4.
std::string address_text(const Bytes16& address);
// "fe80:0000:0000:0000:0002:c903:00a1:b2c3".
std::string gid_text(const Bytes16& gid);

// A GUID: 16 hexadecimal digits, or four groups of four with colons between them; no 0x before it.
std::optional<std::uint64_t> guid_from_text(std::string_view text);
// The second half of a GID or of an SRP port identifier.
std::uint64_t guid_of(const Bytes16& id);

}  // namespace srp
