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
  tape_read,     // in_bytes of a tape, which tgtd fills whatever its buffer holds
  passthrough,   // as much as the initiator offers: a device of whatever kind has the last word
  unsafe,        // tgtd would overrun its buffers: not to be passed on
};

// The unit's properties on which lengths depend.
struct Medium {
  bool exists = false;
  bool block_device = false;  // SBC or MMC: lengths count blocks
  unsigned block_shift = 9;   // log2 of the block length
  bool null_store = false;    // its store moves nothing
  bool passthrough = false;
  bool tape = false;
  std::uint32_t tape_block_bytes = 0;  // 0: blocks of any length

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

// What a CDB says that carries parameters, on a unit of any type. cdb: 16 bytes or more.
CdbData describe_parameters(std::span<const std::uint8_t> cdb) noexcept;

// cdb: 16 bytes or more. Not for tapes.
CdbData describe_cdb(std::span<const std::uint8_t> cdb, const Medium& medium) noexcept;

}  // namespace srp
