#include "lld_srp/address.h"

#include <arpa/inet.h>
#include <infiniband/ib.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace srp {

namespace {

constexpr Bytes16 mapped_ipv4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

}  // namespace

std::string to_string(const sockaddr_storage& address) {
  if (address.ss_family == AF_IB) return address_text(*bytes_of(address));
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "?";
  char host[NI_MAXHOST];
  const socklen_t bytes =
      address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  const int error = getnameinfo(reinterpret_cast<const sockaddr*>(&address), bytes, host,
                                sizeof host, nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? host : "?";
}

std::string with_port(const std::string& address, unsigned port) {
  if (port == 0) return address;
  const std::string suffix = ":" + std::to_string(port);
  return address.find(':') == std::string::npos ? address + suffix : "[" + address + "]" + suffix;
}

bool is_ipv4(const Bytes16& address) {
  return std::equal(address.begin(), address.begin() + 12, mapped_ipv4.begin());
}

std::optional<Bytes16> address_from_text(std::string_view text) {
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

std::optional<Bytes16> bytes_of(const sockaddr_storage& storage) {
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
  if (storage.ss_family == AF_IB) {
    sockaddr_ib gid;
    std::memcpy(&gid, &storage, sizeof gid);
    std::memcpy(address.data(), &gid.sib_addr, sizeof gid.sib_addr);
    return address;
  }
  return std::nullopt;
}

std::string address_text(const Bytes16& address) {
  char text[INET6_ADDRSTRLEN];
  const bool dotted = is_ipv4(address);
  (void)inet_ntop(dotted ? AF_INET : AF_INET6, dotted ? &address[12] : address.data(), text,
                  sizeof text);
  return text;
}

std::optional<std::uint64_t> guid_from_text(std::string_view text) {
  std::string digits{text};
  if (text.size() == 19 && text[4] == ':' && text[9] == ':' && text[14] == ':') {
    std::erase(digits, ':');
  }
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value, 16);
  if (digits.size() != 16 || parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return value;
}

std::uint64_t guid_of(const Bytes16& id) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i < id.size(); ++i) value = value << 8 | id[i];
  return value;
}

std::string gid_text(const Bytes16& gid) {
  std::string text;
  for (std::size_t i = 0; i < gid.size(); i += 2) {
    char group[8];
    std::snprintf(group, sizeof group, "%s%02x%02x", i == 0 ? "" : ":", gid[i], gid[i + 1]);
    text += group;
  }
  return text;
}

}  // namespace srp
