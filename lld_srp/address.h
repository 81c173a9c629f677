// Network addresses as text, the way administrators and ib_srp's add_target write them.
#pragma once

#include <sys/socket.h>

#include <string>

namespace srp {

// "10.0.0.1" or "fe80::1%eth0"; "?" for other families. No port.
std::string to_string(const sockaddr_storage& address);
// "10.0.0.1:5000" or "[fe80::1%eth0]:5000".
std::string with_port(const std::string& address, unsigned port);

}  // namespace srp
