#include "lld_srp/portal.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace srp {
namespace {

// 0 where text is no port.
std::uint16_t parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, port);
  return parsed.ec == std::errc{} && parsed.ptr == end ? port : std::uint16_t{0};
}

ParsedPortal parse_ipv6_address(const std::string& text) {
  const auto percent = std::min(text.find('%'), text.size());
  const std::string scope = text.substr(percent);
  in6_addr address{};
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &address) != 1) {
    return {{}, "not a numeric IPv6 address"};
  }
  if (IN6_IS_ADDR_LINKLOCAL(&address) ? scope.size() < 2 : !scope.empty()) {
    return {{}, "a link-local address, and only that, needs %interface"};
  }
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  inet_ntop(AF_INET6, &address, canonical.data(), canonical.size());
  return {{canonical.data() + scope, 0}};
}

ParsedPortal parse_host(const std::string& host) {
  if (host == "*") return {};
  if (host == infiniband_portal) return {{host, 0}};
  if (host.starts_with('[')) return parse_ipv6_address(host.substr(1, host.size() - 2));
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) != 1) return {{}, "not a numeric address"};
  return {{host, 0}};
}

}  // namespace

ParsedPortal parse_portal(const std::string& text) {
  const bool bracketed = text.starts_with('[');
  if (bracketed && text.find(']') == text.npos) return {{}, "no closing bracket"};
  if (!bracketed && text.find(':') != text.rfind(':')) {
    return {{}, "an IPv6 address without its brackets"};
  }
  const std::string host = text.substr(0, bracketed ? text.find(']') + 1 : text.find(':'));
  const std::string rest = text.substr(host.size());
  ParsedPortal parsed = parse_host(host);
  if (parsed.wrong || rest.empty()) return parsed;
  const std::uint16_t port = parse_port(std::string_view{rest}.substr(1));
  if (!rest.starts_with(':') || port == 0) return {{}, "its port is not 1 to 65535"};
  parsed.portal.port = port;
  return parsed;
}

std::optional<Portal> portal_from_text(std::string_view text) {
  ParsedPortal parsed = parse_portal(std::string{text});
  const bool right = parsed.wrong == nullptr && text.find('\0') == text.npos;
  return right ? std::optional{std::move(parsed.portal)} : std::nullopt;
}

}  // namespace srp
