// Reads an entry as far as it must to answer one question: how exactly does it name that initiator?
// Text of any length and any bytes is an answer of no, not an error.
#include "lld_srp/acl.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "lld_srp/address.h"

namespace srp {
namespace {

constexpr std::size_t port_id_digits = 32;
constexpr unsigned mapped_ipv4_bits = 96;

struct Network {
  Bytes16 address{};
  unsigned bits = 128;  // of address that count; 128: a literal address
};

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

// As tgt's iSCSI driver does, a network with host bits set is refused: was the host meant, or all?
std::optional<Network> parse_network(std::string_view text) {
  const auto slash = std::min(text.find('/'), text.size());
  const auto address = address_from_text(text.substr(0, slash));
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

// Of InfiniBand's own logins, which come from a GID, there is none: that is no place in a network.
std::optional<Bytes16> ip_address_of(const InitiatorIdentity& initiator) {
  return initiator.address.ss_family == AF_IB ? std::nullopt : bytes_of(initiator.address);
}

bool network_matches(const Network& network, const InitiatorIdentity& initiator) {
  const auto peer = ip_address_of(initiator);
  // ::/0 is all of IPv6, and no IPv4.
  if (peer && is_ipv4(*peer) == is_ipv4(network.address) &&
      same_leading_bits(*peer, network.address, network.bits)) {
    return true;
  }
  // A GID of zero is one that nobody told us. One that an IPv4 address makes is RoCE's.
  if (initiator.address.ss_family == AF_IB && is_ipv4(network.address)) return false;
  return network.bits == 128 && initiator.gid != Bytes16{} && initiator.gid == network.address;
}

constexpr char lower(char letter) {  // ASCII only, whatever the locale
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

constexpr bool is_hex(char letter) {
  return std::string_view{"0123456789abcdef"}.find(lower(letter)) != std::string_view::npos;
}

bool has_prefix(std::string_view entry) {
  return entry.starts_with("0x") || entry.starts_with("0X");
}

std::string_view without_prefix(std::string_view entry) {
  return entry.substr(has_prefix(entry) ? 2 : 0);
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

// The second half of an identifier: "0002:c903:00a1:b2c3".
std::string guid_text(const Bytes16& id) { return gid_text(id).substr(5 * 4); }

// All that an initiator can be called; a pattern is held against each.
std::vector<std::string> names_of(const InitiatorIdentity& initiator) {
  std::vector<std::string> names{to_string(initiator.port_id).substr(2),
                                 guid_text(initiator.port_id)};
  if (const auto address = ip_address_of(initiator)) {
    names.push_back(address_text(*address));
    if (!is_ipv4(*address)) names.push_back(gid_text(*address));
  }
  if (initiator.gid != Bytes16{}) {
    names.push_back(gid_text(initiator.gid));
    names.push_back(guid_text(initiator.gid));
  }
  return names;
}

bool is_port_id(std::string_view entry) {
  const std::string_view digits = without_prefix(entry);
  const bool fits = has_prefix(entry) ? !digits.empty() && digits.size() <= port_id_digits
                                      : digits.size() == port_id_digits;
  return fits && std::ranges::all_of(digits, is_hex);
}

// True if the identifier ends in these digits, and all before them are zero.
bool ends_in(const PortId& id, std::string_view digits) {
  const std::string all = to_string(id).substr(2);
  const std::size_t zeros = all.size() - digits.size();
  return all.find_first_not_of('0') >= zeros &&
         std::ranges::equal(digits, std::string_view{all}.substr(zeros), {}, lower);
}

bool guid_matches(std::string_view entry, const InitiatorIdentity& initiator) {
  const auto guid = guid_from_text(entry);
  if (!guid) return false;
  return *guid == guid_of(initiator.port_id) ||
         (initiator.gid != Bytes16{} && *guid == guid_of(initiator.gid));
}

bool identifier_matches(std::string_view entry, const InitiatorIdentity& initiator) {
  return guid_matches(entry, initiator) ||
         (is_port_id(entry) && ends_in(initiator.port_id, without_prefix(entry)));
}

bool pattern_matches(std::string_view entry, const InitiatorIdentity& initiator) {
  if (has_prefix(entry)) {
    return glob_matches(without_prefix(entry), to_string(initiator.port_id).substr(2));
  }
  return std::ranges::any_of(
      names_of(initiator), [entry](const std::string& name) { return glob_matches(entry, name); });
}

bool is_all(std::string_view entry) {
  return entry == "*" || (entry.size() == 3 && lower(entry[0]) == 'a' && lower(entry[1]) == 'l' &&
                          lower(entry[2]) == 'l');
}

// Calls check(group) for what stands between the separators until it is false.
template <class Check>
bool all_groups(std::string_view text, char separator, Check&& check) {
  while (true) {
    const auto end = std::min(text.find(separator), text.size());
    if (!check(text.substr(0, end))) return false;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

bool only_of(std::string_view text, std::string_view letters) {
  return std::ranges::all_of(
      text, [letters](char letter) { return letters.find(lower(letter)) != letters.npos; });
}

// Could the pattern match any of names_of()? A star may stand for several groups.
bool is_sound_pattern(std::string_view pattern) {
  const bool prefixed = has_prefix(pattern);
  pattern = without_prefix(pattern);
  const auto groups = [&](char separator, std::size_t min, std::size_t max, std::size_t count) {
    std::size_t seen = 0;
    const bool fit = all_groups(pattern, separator, [&](std::string_view group) {
      ++seen;
      if (group.find('*') != group.npos) return group.size() <= max + 1;
      return group.size() >= min && group.size() <= max;
    });
    return fit && seen <= count;
  };
  if (only_of(pattern, "0123456789abcdef*?")) {
    const auto digits = pattern.size() - static_cast<std::size_t>(std::ranges::count(pattern, '*'));
    return digits <= port_id_digits;
  }
  if (prefixed) return false;
  if (only_of(pattern, "0123456789abcdef*?:")) return groups(':', 4, 4, 8);
  return only_of(pattern, "0123456789*?.") && groups('.', 1, 3, 4);
}

// Could the entry name anybody at all?
bool understood(std::string_view entry) {
  if (is_all(entry) || parse_network(entry)) return true;
  if (entry.find_first_of("*?") != entry.npos) return is_sound_pattern(entry);
  return guid_from_text(entry) || is_port_id(entry);
}

// Nothing where one of the list's exclusions matches, or cannot be understood: a mistake in it must
// not admit everybody.
std::optional<Admission> list_admits(std::span<const std::string> entries,
                                     const InitiatorIdentity& initiator) {
  const auto excludes = [](std::string_view entry) { return entry.starts_with('!'); };
  const bool only_exclusions = !entries.empty() && std::ranges::all_of(entries, excludes);
  Admission admission = only_exclusions ? Admission::pattern : Admission::no;
  for (const std::string_view entry : entries) {
    if (!excludes(entry)) {
      admission = std::max(admission, acl_entry_admits(entry, initiator));
    } else if (const std::string_view excluded = entry.substr(1);
               !understood(excluded) || acl_entry_admits(excluded, initiator) != Admission::no) {
      return std::nullopt;
    }
  }
  return admission;
}

}  // namespace

Admission acl_entry_admits(std::string_view entry, const InitiatorIdentity& initiator) {
  const auto as = [](bool matches, Admission admission) {
    return matches ? admission : Admission::no;
  };
  if (is_all(entry)) return Admission::everyone;
  if (const auto network = parse_network(entry)) {
    return as(network_matches(*network, initiator),
              network->bits == 128 ? Admission::exact : Admission::pattern);
  }
  if (entry.find_first_of("*?") != entry.npos) {
    return as(pattern_matches(entry, initiator), Admission::pattern);
  }
  return as(identifier_matches(entry, initiator), Admission::exact);
}

// The address ALL of tgt-admin admits everyone here, and so leaves the verdict to the names.
Admission acl_admits(std::span<const std::string> addresses, std::span<const std::string> names,
                     const InitiatorIdentity& initiator) {
  const auto by_address = list_admits(addresses, initiator);
  const auto by_name = list_admits(names, initiator);
  if (!by_address || !by_name) return Admission::no;
  if (addresses.empty()) return *by_name;
  if (names.empty()) return *by_address;
  const bool both = *by_address != Admission::no && *by_name != Admission::no;
  return both ? std::max(*by_address, *by_name) : Admission::no;
}

std::string to_string(const PortId& id) {
  const auto digits = digits_of(id);
  return "0x" + std::string{digits.data(), digits.size()};
}

}  // namespace srp
