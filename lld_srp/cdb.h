// What a CDB says of its data: how much of it moves, and which way. Pure functions.
// tgtd trusts the lengths that its drivers hand in, so the driver must know them.
#pragma once

#include <cstdint>
#include <span>

namespace srp {

// How a command uses its data.
enum class CdbKind : std::uint8_t {
  medium_read,   // exactly in_bytes from the medium, or the first part of them
  medium_write,  // exactly out_bytes to the medium; fewer must not be executed
  parameter,     // lists, descriptors, and everything we do not know
  unsafe,        // tgtd would overrun its buffers: not to be passed on
};

// The unit's properties on which lengths depend.
struct Medium {
  bool exists = false;
  bool block_device = false;  // SBC or MMC: lengths count blocks
  unsigned block_shift = 9;   // log2 of the block length
  bool null_store = false;    // its store moves nothing

  bool operator==(const Medium&) const = default;
};

// As much as the initiator offers.
inline constexpr std::uint64_t as_offered = ~std::uint64_t{0};

struct CdbData {
  CdbKind kind = CdbKind::parameter;
  std::uint64_t out_bytes = as_offered;  // data-out that the CDB calls for
  std::uint64_t in_bytes = as_offered;   // data-in: transfer or allocation length
};

// Makes cdb, 16 bytes or more, ask for no more than bytes of parameter data, where it has such a
// field.
void set_allocation_length(std::span<std::uint8_t> cdb, std::uint64_t bytes) noexcept;

// cdb: 16 bytes or more.
CdbData describe_cdb(std::span<const std::uint8_t> cdb, const Medium& medium) noexcept;

}  // namespace srp
