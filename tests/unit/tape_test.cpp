// What commands for a tape move, and what tgtd must not be told of or say of one.
#include "lld_srp/tape.h"

#include <array>

#include "tests/unit/harness.h"

using namespace srp;

namespace {

using Cdb = std::array<std::uint8_t, 16>;
using Sense = std::array<std::uint8_t, 18>;

// READ(6) or WRITE(6) of so many bytes, or fixed blocks.
Cdb transfer(std::uint8_t opcode, bool fixed, std::uint32_t length) {
  return {opcode, static_cast<std::uint8_t>(fixed ? 1 : 0), static_cast<std::uint8_t>(length >> 16),
          static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)};
}
Cdb read_of(bool fixed, std::uint32_t length) { return transfer(0x08, fixed, length); }
Cdb write_of(bool fixed, std::uint32_t length) { return transfer(0x0a, fixed, length); }

Sense sense_of(std::uint8_t key_and_flags, std::int32_t information, bool valid = true) {
  const auto bits = static_cast<std::uint32_t>(information);
  return {static_cast<std::uint8_t>(valid ? 0xf0 : 0x70),
          0,
          key_and_flags,
          static_cast<std::uint8_t>(bits >> 24),
          static_cast<std::uint8_t>(bits >> 16),
          static_cast<std::uint8_t>(bits >> 8),
          static_cast<std::uint8_t>(bits),
          10};
}

constexpr std::uint8_t filemark = 0x80;
constexpr std::uint8_t end_of_medium = 0x40;
constexpr std::uint8_t wrong_length = 0x20;

}  // namespace

TEST_GROUP(Tape){void check(const Cdb& cdb, std::uint32_t block, CdbKind kind, std::uint64_t out,
                            std::uint64_t in){const CdbData data = tape::describe(cdb, block);
CHECK_TRUE(data.kind == kind);
CHECK_EQUAL(out, data.out_bytes);
CHECK_EQUAL(in, data.in_bytes);
}
}
;

TEST(Tape, describe__records_are_as_long_as_the_cdb_says) {
  check(read_of(false, 0x12345), 512, CdbKind::tape_read, 0, 0x12345);
  check(write_of(false, 0xffffff), 0, CdbKind::medium_write, 0xffffff, 0);
}

TEST(Tape, describe__fixed_blocks_are_counted_in_the_length_of_the_unit) {
  check(read_of(true, 3), 2048, CdbKind::tape_read, 0, 6144);
  check(write_of(true, 0xffffff), 1 << 20, CdbKind::medium_write, std::uint64_t{0xffffff} << 20, 0);
}

TEST(Tape, describe__fixed_blocks_of_no_length_are_refused) {
  check(read_of(true, 1), 0, CdbKind::unsafe, 0, 0);
  check(write_of(true, 1), 0, CdbKind::unsafe, 0, 0);
}

TEST(Tape, describe__nothing_moves_where_nothing_is_asked_for) {
  for (const bool fixed : {false, true}) {
    check(read_of(fixed, 0), 0, CdbKind::parameter, 0, 0);
    check(write_of(fixed, 0), 512, CdbKind::parameter, 0, 0);
  }
}

TEST(Tape, describe__tgtds_own_lengths_of_limits_and_positions) {
  check({0x05}, 0, CdbKind::parameter, 0, 6);
  check({0x34, 0x00}, 0, CdbKind::parameter, 0, 20);
  check({0x34, 0x06}, 0, CdbKind::parameter, 0, 32);
}

TEST(Tape, describe__parameters_as_of_any_unit) {
  check({0x1a, 0, 0, 0, 77}, 512, CdbKind::parameter, 0, 77);
  check({0x15, 0x10, 0, 0, 12}, 512, CdbKind::parameter, 12, 0);
}

TEST(Tape, mend_empty_transfer__makes_it_no_fixed_blocks) {
  for (const std::uint8_t opcode : {std::uint8_t{0x08}, std::uint8_t{0x0a}}) {
    Cdb empty{opcode, 2};
    tape::mend_empty_transfer(empty);
    CHECK_EQUAL(1, int{empty[1]});
    Cdb full{opcode, 2, 0, 0, 1};
    tape::mend_empty_transfer(full);
    CHECK_EQUAL(2, int{full[1]});
  }
  Cdb other{0x11, 3};
  tape::mend_empty_transfer(other);
  CHECK_EQUAL(3, int{other[1]});
}

TEST(Tape, check_mode_select__takes_block_lengths_up_to_the_largest) {
  const Cdb six{0x15, 0x10, 0, 0, 12};
  std::array<std::uint8_t, 12> list{0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0x10, 0, 0};
  CHECK_EQUAL(0, int{tape::check_mode_select(six, list)});
  list[11] = 1;
  CHECK_EQUAL(0x2600, int{tape::check_mode_select(six, list)});
  const Cdb ten{0x55, 0x10};
  std::array<std::uint8_t, 16> longer{0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x10, 0, 0};
  CHECK_EQUAL(0, int{tape::check_mode_select(ten, longer)});
  longer[15] = 1;
  CHECK_EQUAL(0x2600, int{tape::check_mode_select(ten, longer)});
}

TEST(Tape, check_mode_select__refuses_a_descriptor_that_is_not_there_or_no_descriptor) {
  const Cdb six{0x15, 0x10, 0, 0, 12};
  std::array<std::uint8_t, 12> list{0, 0, 0x10, 8};
  CHECK_EQUAL(0, int{tape::check_mode_select(six, {list.data(), 0})});
  CHECK_EQUAL(0x1a00, int{tape::check_mode_select(six, {list.data(), 3})});
  CHECK_EQUAL(0x1a00, int{tape::check_mode_select(six, {list.data(), 11})});
  list[3] = 0;
  CHECK_EQUAL(0, int{tape::check_mode_select(six, {list.data(), 4})});
  list[3] = 16;
  CHECK_EQUAL(0x2600, int{tape::check_mode_select(six, list)});
  const std::array<std::uint8_t, 8> ten{0, 0, 0, 0, 0, 0, 1, 0};  // 256 bytes of them
  CHECK_EQUAL(0x2600, int{tape::check_mode_select({Cdb{0x55}}, ten)});
}

TEST(Tape, moved__records_less_what_the_sense_data_says_is_missing) {
  const Cdb cdb = read_of(false, 1000);
  CHECK_EQUAL(600U, tape::moved(cdb, 0, sense_of(wrong_length, 400)));
  CHECK_EQUAL(1000U, tape::moved(cdb, 0, sense_of(wrong_length, -24)));  // the record is longer
  CHECK_EQUAL(0U, tape::moved(cdb, 0, sense_of(filemark, 1000)));
  CHECK_EQUAL(0U, tape::moved(cdb, 0, sense_of(filemark, 1001)));
}

TEST(Tape, moved__fixed_blocks_up_to_the_filemark) {
  CHECK_EQUAL(3U * 512, tape::moved(read_of(true, 5), 512, sense_of(filemark, 2)));
}

TEST(Tape, moved__nothing_where_the_sense_data_does_not_tell) {
  const Cdb cdb = read_of(false, 1000);
  CHECK_EQUAL(0U, tape::moved(cdb, 0, sense_of(wrong_length, 400, false)));
  CHECK_EQUAL(0U, tape::moved(cdb, 0, sense_of(end_of_medium | 0x08, 0, false)));
  CHECK_EQUAL(0U, tape::moved(cdb, 0, sense_of(0x03, 400)));  // MEDIUM ERROR
  CHECK_EQUAL(0U, tape::moved(cdb, 0, {}));
  Sense descriptors = sense_of(wrong_length, 400);
  descriptors[0] = 0xf2;
  CHECK_EQUAL(0U, tape::moved(cdb, 0, descriptors));
  CHECK_EQUAL(0U, tape::moved({Cdb{0x11}}, 0, sense_of(wrong_length, 400)));
}

TEST(Tape, moved__all_of_a_write_that_is_warned_of_the_end) {
  CHECK_EQUAL(1000U, tape::moved(write_of(false, 1000), 0, sense_of(end_of_medium, 0, false)));
  CHECK_EQUAL(0U, tape::moved(write_of(false, 1000), 0, sense_of(0x03, 0, false)));
}

TEST(Tape, mend_sense__end_of_data_is_not_end_of_medium) {
  Sense end_of_data = sense_of(end_of_medium | 0x08, 0, false);
  tape::mend_sense(end_of_data);
  CHECK_EQUAL(0x08, int{end_of_data[2]});
  Sense warning = sense_of(end_of_medium, 0, false);
  tape::mend_sense(warning);
  CHECK_EQUAL(int{end_of_medium}, int{warning[2]});
}
