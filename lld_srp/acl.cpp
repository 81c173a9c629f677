// Reads an entry as far as it must to answer one question: is this that initiator? Text of any
// length and any bytes is an answer of no, not an error. Nothing here allocates but to_string.
#include "lld_srp/acl.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace srp {
namespace {

using Bytes16 = std::array<std::uint8_t, 16>;

constexpr std::size_t guid_digits = 16;
constexpr std::size_t port_id_digits = 32;
constexpr Bytes16 mapped_ipv4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
constexpr unsigned mapped_ipv4_bits = 96;

// IPv4 is held as ::ffff:a.b.c.d, so that a peer of a dual-stack listener is the same peer.
struct Network {
  Bytes16 address{};
  unsigned bits = 128;  // of address that count; 128: a literal address
};

bool is_ipv4(const Bytes16& address) {
  return std::equal(address.begin(), address.begin() + 12, mapped_ipv4.begin());
}

bool same_leading_bits(const Bytes16& a, const Bytes16& b, unsigned bits) {
  for (std::size_t i = 0; i < a.size() && bits > 0; ++i) {
    const unsigned here = std::min(bits, 8u);
    if ((a[i] ^ b[i]) >> (8 - here) != 0) return false;
    bits -= here;
  }
  return true;
}

bool has_host_bits(const Network& network) {
  Bytes16 cleared = network.address;
  for (unsigned bit = network.bits; bit < 128; ++bit) {
    cleared[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> bit % 8));
  }
  return cleared != network.address;
}

// Dotted quad, or IPv6 with or without brackets; nothing else.
std::optional<Bytes16> parse_address(std::string_view text) {
  const bool bracketed = text.starts_with('[') && text.ends_with(']');
  if (bracketed) text = text.substr(1, text.size() - 2);
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());

  Bytes16 address = mapped_ipv4;
  if (!bracketed && inet_pton(AF_INET, terminated.data(), &address[12]) == 1) return address;
  if (inet_pton(AF_INET6, terminated.data(), address.data()) == 1) return address;
  return std::nullopt;
}

// As tgt's iSCSI driver does, a network with host bits set is refused: was the host meant, or all?
std::optional<Network> parse_network(std::string_view text) {
  const auto slash = std::min(text.find('/'), text.size());
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == text.size()) return Network{*address};

  const bool dotted = text.substr(0, slash).find(':') == text.npos;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  if (bits > (dotted ? 32u : 128u)) return std::nullopt;
  const Network network{*address, dotted ? mapped_ipv4_bits + bits : bits};
  if (has_host_bits(network)) return std::nullopt;
  return network;
}

std::optional<Bytes16> address_of(const sockaddr_storage& storage) {
  Bytes16 address = mapped_ipv4;
  if (storage.ss_family == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, &storage, sizeof ipv4);
    std::memcpy(&address[12], &ipv4.sin_addr, sizeof ipv4.sin_addr);
    return address;
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 ipv6;
    std::memcpy(&ipv6, &storage, sizeof ipv6);
    std::memcpy(address.data(), &ipv6.sin6_addr, sizeof ipv6.sin6_addr);
    return address;
  }
  return std::nullopt;
}

bool network_matches(const Network& network, const InitiatorIdentity& initiator) {
  const auto peer = address_of(initiator.address);
  // ::/0 is all of IPv6, and no IPv4.
  if (peer && is_ipv4(*peer) == is_ipv4(network.address) &&
      same_leading_bits(*peer, network.address, network.bits)) {
    return true;
  }
  // A GID of zero is one that nobody told us.
  return network.bits == 128 && initiator.gid != Bytes16{} && initiator.gid == network.address;
}

constexpr char lower(char letter) {  // ASCII only, whatever the locale
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

constexpr bool is_hex_pattern(char letter) {
  return std::string_view{"0123456789abcdef*?"}.find(lower(letter)) != std::string_view::npos;
}

std::array<char, port_id_digits> digits_of(const PortId& id) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::array<char, port_id_digits> digits;
  for (std::size_t i = 0; i < id.size(); ++i) {
    digits[2 * i] = hex[id[i] / 16];
    digits[2 * i + 1] = hex[id[i] % 16];
  }
  return digits;
}

// The last star seen takes one letter more whenever the rest does not fit; earlier ones need not,
// so that no pattern costs more than its length times the text's.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;
  std::size_t star = pattern.npos;
  std::size_t star_end = 0;  // in text, behind what the star has taken
  for (std::size_t i = 0; i < text.size();) {
    const char wanted = at < pattern.size() ? lower(pattern[at]) : '\0';
    if (wanted == '*') {
      star = at++;
      star_end = i;
    } else if (wanted == '?' || wanted == text[i]) {
      ++at;
      ++i;
    } else if (star != pattern.npos) {
      at = star + 1;
      i = ++star_end;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', std::min(at, pattern.size())) == pattern.npos;
}

bool guid_matches(std::string_view entry, std::string_view guid) {
  if (entry.size() == guid_digits) return glob_matches(entry, guid);
  if (entry.size() != guid_digits + 3) return false;
  for (std::size_t group = 0; group < 4; ++group) {
    const std::string_view rest = entry.substr(group * 5);
    if (!glob_matches(rest.substr(0, 4), guid.substr(group * 4, 4))) return false;
    if (group < 3 && rest[4] != ':') return false;
  }
  return true;
}

bool port_id_matches(std::string_view entry, const PortId& id) {
  const auto digits = digits_of(id);
  const std::string_view all{digits.data(), digits.size()};
  const bool wild = entry.find_first_of("*?") != entry.npos;
  if (!wild && guid_matches(entry, all.substr(guid_digits))) return true;
  if (entry.starts_with("0x") || entry.starts_with("0X")) entry.remove_prefix(2);
  return std::ranges::all_of(entry, is_hex_pattern) && glob_matches(entry, all);
}

// An empty list leaves the verdict to the other one.
bool list_admits(std::span<const std::string> entries, const InitiatorIdentity& initiator) {
  return entries.empty() || std::ranges::any_of(entries, [&initiator](const std::string& entry) {
           return acl_entry_matches(entry, initiator);
         });
}

bool is_all(std::string_view entry) {
  return entry == "*" || (entry.size() == 3 && lower(entry[0]) == 'a' && lower(entry[1]) == 'l' &&
                          lower(entry[2]) == 'l');
}

}  // namespace

bool acl_entry_matches(std::string_view entry, const InitiatorIdentity& initiator) {
  if (is_all(entry)) return true;
  if (const auto network = parse_network(entry)) return network_matches(*network, initiator);
  return port_id_matches(entry, initiator.port_id);
}

// The address ALL of tgt-admin admits everyone here, and so leaves the verdict to the names.
bool acl_admits(std::span<const std::string> addresses, std::span<const std::string> names,
                const InitiatorIdentity& initiator) {
  if (addresses.empty() && names.empty()) return false;
  return list_admits(addresses, initiator) && list_admits(names, initiator);
}

std::string to_string(const PortId& id) {
  const auto digits = digits_of(id);
  return "0x" + std::string{digits.data(), digits.size()};
}

}  // namespace srp
