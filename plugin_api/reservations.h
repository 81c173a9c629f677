// Persistent reservations follow the initiator port.
//
// tgtd registers nexuses by their id and the second of their making, and forgets neither when the
// nexus ends: an initiator that logs in anew would find itself shut out by its own reservation. SPC
// has registrations outlive the loss of the I_T nexus, so the nexus that follows gets them.
#pragma once

#include <cstdint>

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

// What tgtd knows a registered nexus by.
struct NexusStamp {
  std::uint64_t id = 0;
  long created = 0;  // second

  friend bool operator==(const NexusStamp&, const NexusStamp&) = default;
};

// Of a nexus that exists; {} otherwise.
NexusStamp stamp_of(int tid, std::uint64_t nexus_id) noexcept;

bool has_registrations(target& t, const NexusStamp& nexus) noexcept;
// On all units of t; reservations that from holds are then to's.
void move_registrations(target& t, const NexusStamp& from, const NexusStamp& to) noexcept;

}  // namespace srp::tgt
