// The last look at a command: by unit, what may not pass, and what may pass later.
#include "lld_srp/screen.h"

#include <array>

#include "lld_srp/plan.h"
#include "plugin_api/target_view.h"
#include "tests/unit/tgtd_fixture.h"

using namespace srp;

namespace {

using Cdb = std::array<std::uint8_t, 16>;

}  // namespace

TEST_GROUP_BASE(Screen, srp::test::TgtdTest) {
  fake::Target& target = tgtd.create_target(1, "iqn.one");
  fake::Lu& lu = tgtd.create_lu(target, 1, 64, false);
  tgt::backingstore_template store{"rdwr"};
  std::array<std::uint8_t, 12> list{0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 2, 0};

  void setup() override { lu.bst = &store; }
  void make(tgt::DeviceType type, const char* name) {
    lu.attrs.device_type = static_cast<unsigned char>(type);
    store.bs_name = name;
  }
  Objection screened(Cdb cdb) { return screen(lu, cdb, list); }
  void check_passes(const Cdb& cdb) { CHECK_TRUE(screened(cdb) == Objection{}); }
  void check_refused(const Cdb& cdb, unsigned sense) {
    CHECK_EQUAL(sense, unsigned{screened(cdb).sense});
  }
  void check_later(const Cdb& cdb, unsigned status) {
    CHECK_EQUAL(status, unsigned{screened(cdb).status});
    CHECK_EQUAL(0U, unsigned{screened(cdb).sense});
  }
};

TEST(Screen, a_unit_that_is_not_served_refuses_all_and_says_why) {
  make(tgt::DeviceType::disk, "bsg");
  check_refused({0x00}, 0x2500);
  STRCMP_CONTAINS("bsg", why_not_served(lu));
  STRCMP_CONTAINS("--bstype sg", why_not_served(lu));
  make(tgt::DeviceType::tape, "rdwr");
  check_refused({0x00}, 0x2500);
  STRCMP_CONTAINS("--bstype ssc", why_not_served(lu));
}

TEST(Screen, all_others_are_served) {
  for (const char* name : {"rdwr", "aio", "null", "sg", "rbd"}) {
    make(tgt::DeviceType::disk, name);
    POINTERS_EQUAL(nullptr, why_not_served(lu));
  }
  make(tgt::DeviceType::tape, "ssc");
  POINTERS_EQUAL(nullptr, why_not_served(lu));
}

TEST(Screen, tape_mode_select_waits_for_what_counts_on_the_block_length) {
  make(tgt::DeviceType::tape, "ssc");
  const Cdb mode_select{0x15, 0x10, 0, 0, 12};
  check_passes(mode_select);
  lu.cmd_queue.active_cmd = 1;
  check_later(mode_select, sam_busy);
  check_passes({0x08, 0, 0, 2, 0});
  lu.cmd_queue.active_cmd = 0;
  list[9] = 0x20;  // 2 MiB
  check_refused(mode_select, 0x2600);
}

TEST(Screen, tape_transfer_of_nothing_is_mended) {
  make(tgt::DeviceType::tape, "ssc");
  Cdb cdb{0x0a};
  CHECK_TRUE(screen(lu, cdb, {}) == Objection{});
  CHECK_EQUAL(1, int{cdb[1]});
}

TEST(Screen, changer_does_not_tell_of_all_elements_at_once) {
  make(tgt::DeviceType::changer, "smc");
  check_refused({0xb8, 0x10}, invalid_field_in_cdb);
  for (std::uint8_t type = 1; type <= 4; ++type) check_passes({0xb8, type});
  make(tgt::DeviceType::disk, "rdwr");
  check_passes({0xb8});
}

TEST(Screen, changer_moves_nothing_while_a_drive_is_at_work) {
  fake::Lu& drive = tgtd.create_lu(target, 2, 64, false);
  make(tgt::DeviceType::changer, "smc");
  lu.attrs.removable = 1;
  lu.cmd_queue.active_cmd = 1;  // its own commands are no hindrance
  drive.cmd_queue.active_cmd = 1;
  check_passes({0xa5});  // a disk that stays where it is
  drive.attrs.removable = 1;
  check_later({0xa5}, sam_busy);
  check_passes({0xb8, 2});
  drive.cmd_queue.active_cmd = lu.cmd_queue.active_cmd = 0;
  check_passes({0xa5});
}

TEST(Screen, cd_is_not_read_past_its_end) {
  make(tgt::DeviceType::cd, "mmc");
  lu.size = 16 * 2048;
  check_passes({0x28, 0, 0, 0, 0, 14, 0, 0, 2});
  check_refused({0x28, 0, 0, 0, 0, 15, 0, 0, 2}, 0x2100);
  check_passes({0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 16});
  check_refused({0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0x2100);
  check_passes({0x2a, 0, 0, 0, 0, 15, 0, 0, 2});
}

TEST(Screen, aio_and_reservations_as_the_shield_says) {
  make(tgt::DeviceType::disk, "aio");
  check_refused({0x8b}, invalid_opcode);
  check_refused({0x5f, 0x07}, invalid_field_in_cdb);
  check_passes({0x28});
}
