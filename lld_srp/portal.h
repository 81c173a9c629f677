// Where to listen: an address and a port, as administrators write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace srp {

// The address that stands for all InfiniBand ports, reached by their GIDs.
inline constexpr const char* infiniband_portal = "ib";

// An empty address means all of them: IPv4, IPv6 and InfiniBand's.
struct Portal {
  // Numeric, as inet_ntop writes it; with %interface where link-local. Or infiniband_portal.
  std::string address;
  std::uint16_t port = 0;  // never 0 in Settings: rdma_cm_port where the file gives none

  bool operator==(const Portal&) const = default;
};

struct ParsedPortal {
  Portal portal;                // port 0: the text names none
  const char* wrong = nullptr;  // why the text is no portal; null: it is one
};

// "10.0.0.1", "10.0.0.1:5001", "[fe80::1%eth0]:5000", "ib", "ib:5001", "*", "*:5001".
ParsedPortal parse_portal(const std::string& text);
// The same where nobody asks why; nothing for all other texts.
std::optional<Portal> portal_from_text(std::string_view text);

}  // namespace srp
