#include "lld_srp/address.h"

#include <netdb.h>
#include <netinet/in.h>

namespace srp {

std::string to_string(const sockaddr_storage& address) {
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "?";
  char host[NI_MAXHOST];
  const socklen_t bytes =
      address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  const int error = getnameinfo(reinterpret_cast<const sockaddr*>(&address), bytes, host,
                                sizeof host, nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? host : "?";
}

std::string with_port(const std::string& address, unsigned port) {
  const std::string suffix = ":" + std::to_string(port);
  return address.find(':') == std::string::npos ? address + suffix : "[" + address + "]" + suffix;
}

}  // namespace srp
