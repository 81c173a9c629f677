// What is made of a command before any data moves: lengths, directions, places, residuals.
#include "lld_srp/plan.h"

#include <array>
#include <optional>

#include "lld_srp/limits.h"
#include "tests/unit/client.h"
#include "tests/unit/tgtd_fixture.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::size_t bytes_max = std::size_t{1} << 20;
constexpr std::uint16_t invalid_field = 0x0e03;

Cdb report_luns(std::uint32_t allocation) {
  Cdb cdb{0xa0};
  for (unsigned i = 0; i < 4; ++i)
    cdb[6 + i] = static_cast<std::uint8_t>(allocation >> (24 - 8 * i));
  return cdb;
}
Cdb unknown_opcode() { return {0xc5}; }
Cdb write_same_without_data() { return {0x93, 0x01}; }

}  // namespace

TEST_GROUP_BASE(Plan, TgtdTest) {
  fake::Target& target = tgtd.create_target(1, "iqn.one");
  fake::Lu* lu = &tgtd.create_lu(target, 1, 64, false);
  DataPlan plan;
  std::uint16_t sense = 0;
  // Immediate data of two blocks, at the start of a page or not.
  alignas(page_bytes) std::array<std::uint8_t, 2 * page_bytes> iu{};

  // The plan for this CDB, and this much data on offer.
  void make(const Cdb& cdb, std::uint64_t out, std::uint64_t in,
            std::span<const std::uint8_t> inside = {}) {
    CmdRequest request{};
    request.cdb = cdb;
    request.out.bytes = inside.empty() ? out : inside.size();
    request.out.inside = inside;
    request.in.bytes = in;
    plan.fetch_bytes = plan.in_room = plan.out_room = 77;  // of the command before
    sense = make_plan(request, lu, bytes_max, plan);
  }
  void check_bytes(std::uint32_t fetch, std::uint32_t in) {
    CHECK_EQUAL(0U, unsigned{sense});
    CHECK_EQUAL(fetch, plan.fetch_bytes);
    CHECK_EQUAL(in, plan.in_bytes);
  }
  void check_room(std::uint32_t out, std::uint32_t in) {
    CHECK_EQUAL(out, plan.out_room);
    CHECK_EQUAL(in, plan.in_room);
  }
  void check_wanted(std::uint64_t out, std::uint64_t in) {
    CHECK_EQUAL(out, plan.out_wanted);
    CHECK_EQUAL(in, plan.in_wanted);
  }
  void check_refused(unsigned with) { CHECK_EQUAL(with, unsigned{sense}); }
};

// ---- the unit ----

TEST(Plan, medium_of__is_what_lengths_depend_on) {
  CHECK_FALSE(medium_of(nullptr).exists);
  CHECK_FALSE(medium_of(nullptr).block_device);
  CHECK_TRUE(medium_of(lu).exists);
  CHECK_TRUE(medium_of(lu).block_device);
  CHECK_EQUAL(9U, medium_of(lu).block_shift);
  lu->blk_shift = 12;
  CHECK_EQUAL(12U, medium_of(lu).block_shift);
  lu->attrs.device_type = 5;  // CD
  CHECK_TRUE(medium_of(lu).block_device);
  lu->blk_shift = 0;  // tgtd leaves it so
  CHECK_EQUAL(11U, medium_of(lu).block_shift);
  for (const std::uint8_t type :
       {std::uint8_t{0x01}, std::uint8_t{0x08}, std::uint8_t{0x0c}}) {  // tape, changer, controller
    lu->attrs.device_type = type;
    CHECK_TRUE(medium_of(lu).exists);
    CHECK_FALSE(medium_of(lu).block_device);
  }
}

// ---- reads ----

TEST(Plan, make_plan__read_into_exactly_its_room) {
  make(read_10(0, 2), 0, 1024);
  CHECK_TRUE(plan.kind == CdbKind::medium_read);
  check_bytes(0, 1024);
  check_wanted(0, 1024);
  check_room(0, page_bytes);  // data-out of a read is the shared page's
  CHECK_FALSE(plan.zero_in);
  CHECK_FALSE(plan.out_in_place);
}

TEST(Plan, make_plan__read_into_less_room_gets_whole_blocks) {
  const struct {
    std::uint64_t offered;
    std::uint32_t given;
  } rows[] = {{0, 0}, {1, 512}, {512, 512}, {513, 1024}, {1535, 1536}, {2047, 2048}};
  for (const auto& row : rows) {
    make(read_10(0, 4), 0, row.offered);
    check_bytes(0, row.given);
    check_wanted(0, 2048);
  }
}

TEST(Plan, make_plan__read_of_long_blocks_is_rounded_to_those) {
  lu->blk_shift = 12;
  make(read_10(0, 2), 0, 4097);
  check_bytes(0, 8192);
  make(read_10(0, 1), 0, 100);
  check_bytes(0, 4096);
}

TEST(Plan, make_plan__read_into_more_room_gets_what_the_cdb_asks_for) {
  make(read_10(63, 1), 0, 1 << 20);
  check_bytes(0, 512);
  check_room(0, page_bytes);
}

TEST(Plan, make_plan__memory_is_whole_pages) {
  make(read_10(0, 8), 0, 4096);
  check_room(0, page_bytes);
  make(read_10(0, 9), 0, 4608);
  check_room(0, 2 * page_bytes);
  make(read_10(0, 0), 0, 0);  // tgtd may touch a page of it all the same
  check_room(0, page_bytes);
}

TEST(Plan, make_plan__read_of_a_store_that_moves_nothing_is_zeroed) {
  lu = &tgtd.create_lu(target, 3, 64, true);
  make(read_10(0, 1), 0, 512);
  CHECK_TRUE(plan.zero_in);
  make(write_10(0, 1), 512, 0);
  CHECK_FALSE(plan.zero_in);
}

// ---- writes ----

TEST(Plan, make_plan__write_of_exactly_its_bytes) {
  make(write_10(0, 9), 4608, 0);
  CHECK_TRUE(plan.kind == CdbKind::medium_write);
  check_bytes(4608, 0);
  check_wanted(4608, 0);
  check_room(2 * page_bytes, 0);
}

TEST(Plan, make_plan__write_that_offers_less_is_refused) {
  for (const std::uint64_t offered : {0U, 1U, 512U, 1023U}) {
    make(write_10(0, 2), offered, 0);
    check_refused(invalid_field);
  }
}

TEST(Plan, make_plan__write_that_offers_more_gets_what_the_cdb_asks_for) {
  make(write_10(0, 1), 100000, 0);
  check_bytes(512, 0);
  check_wanted(512, 0);
  check_room(page_bytes, 0);
}

TEST(Plan, make_plan__write_of_nothing_has_a_page) {
  make(write_10(0, 0), 0, 0);
  check_bytes(0, 0);
  check_room(page_bytes, 0);
}

// ---- both directions are offered ----

TEST(Plan, make_plan__read_takes_no_data_out) {
  make(read_10(0, 1), 4096, 512);
  check_bytes(0, 512);
  check_wanted(0, 512);
  check_room(0, page_bytes);
}

TEST(Plan, make_plan__write_gives_no_data_in) {
  make(write_10(0, 1), 512, 4096);
  check_bytes(512, 0);
  check_wanted(512, 0);
  check_room(page_bytes, 0);
}

TEST(Plan, make_plan__parameter_command_of_one_way_has_a_page_for_the_other) {
  make(inquiry(96), 512, 96);
  check_bytes(0, 96);
  check_wanted(0, 96);
  check_room(page_bytes, page_bytes);
  make(unmap(24), 24, 512);
  check_bytes(24, 0);
  check_wanted(24, 0);
  check_room(page_bytes, page_bytes);
}

TEST(Plan, make_plan__unknown_command_gets_all_that_is_offered_both_ways) {
  make(unknown_opcode(), 5000, 200);
  CHECK_TRUE(plan.kind == CdbKind::parameter);
  check_bytes(5000, 200);
  check_wanted(5000, 200);
  check_room(2 * page_bytes, page_bytes);
  CHECK_TRUE(plan.zero_in);
}

// ---- parameters ----

TEST(Plan, make_plan__parameters_are_asked_for_as_a_whole_where_less_is_offered) {
  make(inquiry(96), 0, 36);
  check_bytes(0, 96);
  CHECK_TRUE(plan.zero_in);
  make(inquiry(8192), 0, 0);
  check_bytes(0, 8192);
  check_room(page_bytes, 2 * page_bytes);
}

TEST(Plan, make_plan__parameters_are_no_more_than_the_allocation) {
  make(inquiry(5), 0, 4096);
  check_bytes(0, 5);
  check_wanted(0, 5);
}

TEST(Plan, make_plan__allocation_beyond_the_offer_is_bounded) {
  make(report_luns(0xffffffff), 0, 16);
  check_bytes(0, allocation_bytes_max);
  check_wanted(0, 0xffffffff);
  make(report_luns(0xffffffff), 0, 100000);  // what is offered is
  check_bytes(0, 100000);
}

TEST(Plan, make_plan__parameter_list_may_be_short) {
  make(unmap(24), 8, 0);
  check_bytes(8, 0);
  check_wanted(24, 0);
  make(unmap(24), 100, 0);
  check_bytes(24, 0);
  check_wanted(24, 0);
}

// ---- refused ----

TEST(Plan, make_plan__what_tgtd_would_overrun_is_refused) {
  make(write_same_without_data(), 0, 0);
  check_refused(invalid_field_in_cdb);
}

TEST(Plan, make_plan__read_of_more_than_there_is_memory_for_is_refused) {
  make(read_10(0, 2048), 0, bytes_max);
  check_bytes(0, bytes_max);
  make(read_10(0, 2049), 0, bytes_max + 512);
  check_refused(invalid_field_in_cdb);
  make(read_10(0, 2049), 0, bytes_max);  // it is not served in full anyway
  check_bytes(0, bytes_max);
}

TEST(Plan, make_plan__write_of_more_than_there_is_memory_for_is_refused) {
  make(write_10(0, 2048), bytes_max, 0);
  check_bytes(bytes_max, 0);
  make(write_10(0, 2049), bytes_max + 512, 0);
  check_refused(invalid_field_in_cdb);
}

TEST(Plan, make_plan__both_directions_share_the_memory_there_is) {
  make(unknown_opcode(), bytes_max / 2, bytes_max / 2);
  check_room(bytes_max / 2, bytes_max / 2);
  make(unknown_opcode(), bytes_max / 2, bytes_max / 2 + 1);
  check_refused(invalid_field_in_cdb);
  make(unknown_opcode(), 0, bytes_max);  // and the other one's page
  check_refused(invalid_field_in_cdb);
}

TEST(Plan, make_plan__offers_beyond_32_bits_are_no_shorter_for_it) {
  make(read_10(0, 1), 0, (std::uint64_t{1} << 32) + 1);
  check_bytes(0, 512);
  make(unknown_opcode(), (std::uint64_t{1} << 32) + 1, 0);
  check_refused(invalid_field_in_cdb);
}

// ---- no such unit ----

TEST(Plan, make_plan__missing_unit_gets_no_data) {
  lu = nullptr;
  make(write_10(0, 4), 2048, 0);
  check_bytes(0, 0);
  check_wanted(0, 0);
  CHECK_FALSE(plan.medium.exists);
}

TEST(Plan, make_plan__missing_unit_answers_with_parameters_only) {
  lu = nullptr;
  make(read_10(0, 4096), 0, 4096 * 512);
  check_bytes(0, allocation_bytes_max);
  check_wanted(0, allocation_bytes_max);
  CHECK_TRUE(plan.zero_in);
  make(inquiry(66), 0, 10);
  check_bytes(0, 66);
}

// ---- immediate data ----

TEST(Plan, make_plan__immediate_data_at_the_start_of_a_page_stays_where_it_is) {
  make(write_10(0, 2), 0, 0, {iu.data() + page_bytes, 1024});
  check_bytes(1024, 0);
  CHECK_TRUE(plan.out_in_place);
  check_room(0, 0);
}

TEST(Plan, make_plan__more_immediate_data_than_the_cdb_wants_stays_as_well) {
  make(write_10(0, 1), 0, 0, {iu.data(), 1024});
  check_bytes(512, 0);
  CHECK_TRUE(plan.out_in_place);
}

TEST(Plan, make_plan__immediate_data_elsewhere_needs_memory) {
  for (const std::size_t at : {1U, 4U, 68U, 512U, 4095U}) {
    make(write_10(0, 2), 0, 0, {iu.data() + at, 1024});
    check_bytes(1024, 0);
    CHECK_FALSE(plan.out_in_place);
    check_room(page_bytes, 0);
  }
}

TEST(Plan, make_plan__immediate_data_that_is_not_for_the_medium_needs_memory) {
  make(unmap(24), 0, 0, {iu.data(), 24});
  check_bytes(24, 0);
  CHECK_FALSE(plan.out_in_place);
  check_room(page_bytes, page_bytes);
  make(read_10(0, 1), 0, 512, {iu.data(), 24});  // nor is it anybody's
  check_bytes(0, 512);
  CHECK_FALSE(plan.out_in_place);
}

TEST(Plan, make_plan__less_immediate_data_than_the_cdb_wants_is_refused) {
  make(write_10(0, 2), 0, 0, {iu.data(), 1023});
  check_refused(invalid_field);
}

// ---- residuals ----

TEST(Plan, residual__is_what_was_offered_and_not_moved_or_wanted_and_not_offered) {
  const struct {
    std::uint64_t offered, wanted, moved;
    std::uint32_t under, over;
  } rows[] = {
      {0, 0, 0, 0, 0},
      {512, 512, 512, 0, 0},
      {512, 512, 0, 512, 0},
      {4096, 512, 512, 3584, 0},
      {512, 2048, 512, 0, 1536},
      {512, 2048, 100, 412, 0},  // it was cut before there was too little room
      {0, 512, 0, 0, 512},
      {512, 0, 0, 512, 0},
      {0x1'0000'0000, 0, 0, 0xffffffff, 0},
      {0, 0x1'0000'0005, 0, 0, 0xffffffff},
  };
  for (const auto& row : rows) {
    const Residual found = residual(row.offered, row.wanted, row.moved);
    CHECK_EQUAL(row.under, found.under);
    CHECK_EQUAL(row.over, found.over);
  }
}
