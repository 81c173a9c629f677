#include "lld_srp/port_name.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace srp {

namespace {

constexpr std::size_t gid_digits = 32;
constexpr std::size_t guid_digits = 16;

bool is_hex(char letter) { return std::isxdigit(static_cast<unsigned char>(letter)) != 0; }

// The digits of "xxxx:xxxx:xxxx:xxxx", of plain digits with or without 0x; empty for other text.
std::string guid_or_gid_digits(std::string_view text) {
  if (text.size() == guid_digits + 3 && std::ranges::count(text, ':') == 3) {
    for (const std::size_t colon : {4u, 9u, 14u}) {
      if (text[colon] != ':') return {};
    }
    std::string digits{text};
    std::erase(digits, ':');
    return std::ranges::all_of(digits, is_hex) ? digits : std::string{};
  }
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  const bool fits = text.size() == gid_digits || text.size() == guid_digits;
  return fits && std::ranges::all_of(text, is_hex) ? std::string{text} : std::string{};
}

bool same_half(const Bytes16& a, const Bytes16& b) {
  return std::equal(a.begin() + 8, a.end(), b.begin() + 8);
}

}  // namespace

std::optional<PortName> PortName::parse(std::string_view target_name) {
  if (target_name.starts_with("ib.") || target_name.starts_with("IB."))
    target_name.remove_prefix(3);
  const std::string_view text = target_name.substr(0, target_name.find('-'));
  PortName name;
  if (const auto address = address_from_text(text)) {
    name.bytes_ = *address;
    return name.bytes_ != Bytes16{} ? std::optional{name} : std::nullopt;
  }
  const std::string digits = guid_or_gid_digits(text);
  if (digits.empty()) return std::nullopt;
  name.guid_ = digits.size() == guid_digits;
  for (std::size_t i = 0; i < digits.size() / 2; ++i) {
    const std::string pair = digits.substr(2 * i, 2);
    name.bytes_[i + (name.guid_ ? 8 : 0)] =
        static_cast<std::uint8_t>(std::stoul(pair, nullptr, 16));
  }
  // Zero is what is unknown of a path.
  return name.bytes_ != Bytes16{} ? std::optional{name} : std::nullopt;
}

bool PortName::names(const Path& path) const {
  // RoCE has a GID for each address; the port's own is the first one.
  if (!guid_) {
    return bytes_ == path.local_gid || bytes_ == path.port_gid || bytes_of(path.local) == bytes_;
  }
  Bytes16 node{};
  for (std::size_t i = 0; i < 8; ++i) {
    node[8 + i] = static_cast<std::uint8_t>(path.node_guid >> (56 - 8 * i));
  }
  return same_half(bytes_, path.local_gid) || same_half(bytes_, path.port_gid) ||
         same_half(bytes_, node);
}

}  // namespace srp
