// Targets that are named by a port of an RDMA device, as the kernel's ib_srpt names all of its.
#pragma once

#include <optional>
#include <string_view>

#include "lld_srp/path.h"

namespace srp {

// What a target's name says: the GID, the GUID or the IP address of a port. Understood,
// case-insensitively, in the spellings of SCST and LIO:
//   fe80:0000:0000:0000:0002:c903:00a1:b2c3, any IPv6 address, 0x and 32 hex, 32 hex   GID, address
//   0002:c903:00a1:b2c3, 16 hex, each also behind 0x             GUID of the port or of the device
//   192.168.1.1                                                  address
// "ib." may stand before (LIO). "-" and any text may follow, so that one port has several targets.
class PortName {
 public:
  // Nothing where the name is none of these.
  static std::optional<PortName> parse(std::string_view target_name);

  // Is the local end of path the port?
  [[nodiscard]] bool names(const Path& path) const;

 private:
  // Zero is what is unknown of a path, and names nothing.
  std::uint64_t guid_ = 0;  // else gid_ counts
  Bytes16 gid_{};
};

}  // namespace srp
