// What a command for a tape of tgtd's (bstype ssc) moves. tgtd trusts the CDB here: a transfer of
// fixed blocks is as long as their number and the block length of the unit say, whatever its buffer
// holds, and what it reports of a short transfer is wrong. Pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "lld_srp/cdb.h"

namespace srp::tape {

// As READ BLOCK LIMITS says; longer ones tgtd would take as well.
inline constexpr std::uint32_t block_bytes_max = 1 << 20;

// cdb: 16 bytes or more. block_bytes: the unit's, 0 for blocks of any length.
CdbData describe(std::span<const std::uint8_t> cdb, std::uint32_t block_bytes) noexcept;

// tgtd takes a transfer of nothing as one record without data. In fixed blocks it is none.
void mend_empty_transfer(std::span<std::uint8_t> cdb) noexcept;

bool is_mode_select(std::span<const std::uint8_t> cdb) noexcept;

// What is wrong with the block descriptor of a MODE SELECT, which tgtd takes as it is: an
// additional sense code, 0 for nothing.
std::uint16_t check_mode_select(std::span<const std::uint8_t> cdb,
                                std::span<const std::uint8_t> list) noexcept;

// At the end of the data tgtd says end of medium as well (BLANK CHECK with EOM), and Linux's st
// then takes all that it has asked for as read, for ever. That bit is taken away.
void mend_sense(std::span<std::uint8_t> sense) noexcept;

// Bytes that a READ or WRITE has moved which ended with CHECK CONDITION and this sense data.
std::uint64_t moved(std::span<const std::uint8_t> cdb, std::uint32_t block_bytes,
                    std::span<const std::uint8_t> sense) noexcept;

}  // namespace srp::tape
