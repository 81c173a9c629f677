#include "lld_srp/tape.h"

#include <algorithm>

namespace srp::tape {

namespace {

constexpr std::uint8_t op_read_block_limits = 0x05;
constexpr std::uint8_t op_read = 0x08;
constexpr std::uint8_t op_write = 0x0a;
constexpr std::uint8_t op_mode_select_6 = 0x15;
constexpr std::uint8_t op_read_position = 0x34;
constexpr std::uint8_t op_mode_select_10 = 0x55;

constexpr std::uint8_t fixed_bit = 0x01;
constexpr std::uint8_t long_form = 0x06;  // service action of READ POSITION

constexpr std::uint16_t parameter_list_length_error = 0x1a00;
constexpr std::uint16_t invalid_field_in_parameters = 0x2600;

constexpr std::uint8_t sense_fixed_format = 0x70;
constexpr std::uint8_t sense_information_valid = 0x80;
constexpr std::uint8_t sense_key_mask = 0x0f;
constexpr std::uint8_t eom_bit = 0x40;
constexpr std::uint8_t blank_check = 0x08;
constexpr std::size_t sense_bytes_min = 8;

std::uint32_t be24(const std::uint8_t* bytes) noexcept {
  return std::uint32_t{bytes[0]} << 16 | std::uint32_t{bytes[1]} << 8 | bytes[2];
}

bool is_fixed(std::span<const std::uint8_t> cdb) noexcept { return (cdb[1] & fixed_bit) != 0; }

std::uint64_t transfer_bytes(std::span<const std::uint8_t> cdb,
                             std::uint32_t block_bytes) noexcept {
  const std::uint64_t length = be24(&cdb[2]);
  return is_fixed(cdb) ? length * block_bytes : length;
}

}  // namespace

CdbData describe(std::span<const std::uint8_t> cdb, std::uint32_t block_bytes) noexcept {
  switch (cdb[0]) {
    case op_read_block_limits: return {CdbKind::parameter, 0, 6};
    case op_read_position: return {CdbKind::parameter, 0, (cdb[1] & 0x1f) == long_form ? 32U : 20U};
    case op_read:
    case op_write: {
      const std::uint64_t bytes = transfer_bytes(cdb, block_bytes);
      if (be24(&cdb[2]) == 0) return {CdbKind::parameter, 0, 0};
      if (bytes == 0) return {CdbKind::unsafe, 0, 0};  // fixed blocks, of no fixed length
      if (cdb[0] == op_read) return {CdbKind::tape_read, 0, bytes};
      return {CdbKind::medium_write, bytes, 0};
    }
    default: return describe_parameters(cdb);
  }
}

void mend_empty_transfer(std::span<std::uint8_t> cdb) noexcept {
  if ((cdb[0] == op_read || cdb[0] == op_write) && be24(&cdb[2]) == 0) cdb[1] = fixed_bit;
}

bool is_mode_select(std::span<const std::uint8_t> cdb) noexcept {
  return cdb[0] == op_mode_select_6 || cdb[0] == op_mode_select_10;
}

std::uint16_t check_mode_select(std::span<const std::uint8_t> cdb,
                                std::span<const std::uint8_t> list) noexcept {
  constexpr std::size_t descriptor_bytes = 8;
  const bool ten = cdb[0] == op_mode_select_10;
  const std::size_t header_bytes = ten ? 8 : 4;
  if (list.size() < header_bytes) return list.empty() ? 0 : parameter_list_length_error;
  const std::size_t descriptors = ten ? std::size_t{list[6]} << 8 | list[7] : list[3];
  if (descriptors == 0) return 0;
  if (descriptors != descriptor_bytes) return invalid_field_in_parameters;
  if (list.size() < header_bytes + descriptor_bytes) return parameter_list_length_error;
  const std::uint32_t block_bytes = be24(&list[header_bytes + 5]);
  return block_bytes > block_bytes_max ? invalid_field_in_parameters : 0;
}

void mend_sense(std::span<std::uint8_t> sense) noexcept {
  if (sense.size() < sense_bytes_min || (sense[0] & 0x7f) != sense_fixed_format) return;
  if ((sense[2] & sense_key_mask) == blank_check) sense[2] &= static_cast<std::uint8_t>(~eom_bit);
}

// tgtd has moved whatever is not left over by the information field: the bytes, or fixed blocks,
// that were asked for but not there; negative where a record was longer than asked for. Without
// that field only an end-of-medium warning, which has no sense key, means that anything was moved.
std::uint64_t moved(std::span<const std::uint8_t> cdb, std::uint32_t block_bytes,
                    std::span<const std::uint8_t> sense) noexcept {
  if (sense.size() < sense_bytes_min || (sense[0] & 0x7f) != sense_fixed_format) return 0;
  const std::uint64_t whole = transfer_bytes(cdb, block_bytes);
  const bool no_sense_key = (sense[2] & sense_key_mask) == 0;
  if (cdb[0] == op_write) return no_sense_key ? whole : 0;
  if (cdb[0] != op_read || !no_sense_key || (sense[0] & sense_information_valid) == 0) return 0;
  const std::uint32_t information = std::uint32_t{sense[3]} << 24 | be24(&sense[4]);
  if ((information & 0x80000000U) != 0) return whole;
  const std::uint64_t left =
      is_fixed(cdb) ? std::uint64_t{information} * block_bytes : std::uint64_t{information};
  return whole - std::min(left, whole);
}

}  // namespace srp::tape
