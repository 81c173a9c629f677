#include "lld_srp/port_name.h"

#include <algorithm>

namespace srp {

namespace {

// 32 hexadecimal digits.
std::optional<Bytes16> gid_from_digits(std::string_view text) {
  constexpr std::size_t half_digits = 16;
  if (text.size() != 2 * half_digits) return std::nullopt;
  const auto prefix = guid_from_text(text.substr(0, half_digits));
  const auto guid = guid_from_text(text.substr(half_digits));
  if (!prefix || !guid) return std::nullopt;
  Bytes16 gid{};
  for (std::size_t i = 0; i < 8; ++i) {
    gid[i] = static_cast<std::uint8_t>(*prefix >> (56 - 8 * i));
    gid[8 + i] = static_cast<std::uint8_t>(*guid >> (56 - 8 * i));
  }
  return gid;
}

}  // namespace

std::optional<PortName> PortName::parse(std::string_view target_name) {
  if (target_name.starts_with("ib.") || target_name.starts_with("IB."))
    target_name.remove_prefix(3);
  std::string_view text = target_name.substr(0, target_name.find('-'));
  PortName name;
  if (const auto address = address_from_text(text)) {
    name.gid_ = *address;
  } else {
    if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
    name.guid_ = guid_from_text(text).value_or(0);
    name.gid_ = gid_from_digits(text).value_or(Bytes16{});
  }
  const bool names_something = name.guid_ != 0 || name.gid_ != Bytes16{};
  return names_something ? std::optional{name} : std::nullopt;
}

bool PortName::names(const Path& path) const {
  if (guid_ != 0) {
    return guid_ == guid_of(path.local_gid) || guid_ == guid_of(path.port_gid) ||
           guid_ == path.node_guid;
  }
  // RoCE has a GID for each address; the port's own is the first one.
  return gid_ == path.local_gid || gid_ == path.port_gid || gid_ == bytes_of(path.local);
}

}  // namespace srp
