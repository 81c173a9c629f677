// Requests without --lld: which of them are ours, and what iSCSI still gets.
#include "plugin_api/default_driver.h"

#include <optional>
#include <string>

#include "tests/unit/harness.h"
#include "tests/unit/tgtd_fixture.h"

using namespace srp::tgt;

namespace {

std::string asked;  // who was asked what
bool wanted = true;
bool through_iscsi = true;

const DefaultDriver::Callbacks callbacks{[]() noexcept { return wanted; },
                                         []() noexcept { asked += "system "; }};

int own_update(int, int, int tid, std::uint64_t, std::uint64_t, std::uint32_t, char*) {
  CHECK_EQUAL(through_iscsi, DefaultDriver::in_request());
  asked += "update " + std::to_string(tid) + " ";
  return TGTADM_SUCCESS;
}
int own_show(int, int tid, std::uint64_t, std::uint32_t, std::uint64_t, concat_buf*) {
  asked += "show " + std::to_string(tid) + " ";
  return TGTADM_SUCCESS;
}
void own_destroy(int tid, int) { asked += "destroy " + std::to_string(tid) + " "; }

}  // namespace

TEST_GROUP_BASE(DefaultDriver, srp::test::TgtdTest) {
  std::optional<DefaultDriver> hook;

  void setup() override {
    asked.clear();
    wanted = true;
    tgtd.let_first_driver_answer();
    driver_table.update = own_update;
    driver_table.show = driver_table.stat = own_show;
    driver_table.target_destroy = own_destroy;
    tgtd.create_target(3, "iqn.three");
    hook.emplace(callbacks);
  }
  void teardown() override { hook.reset(); }

  int update(int mode, int tid, char* name = nullptr) {
    return tgt_drivers[0]->update(mode, OP_DELETE, tid, 1, 0, 1, name);
  }
};

TEST(DefaultDriver, requests_about_our_targets_are_ours) {
  CHECK_EQUAL(int{TGTADM_SUCCESS}, update(MODE_CONNECTION, 3));
  CHECK_EQUAL(int{TGTADM_SUCCESS}, tgt_drivers[0]->show(MODE_TARGET, 3, 0, 0, 0, nullptr));
  CHECK_EQUAL(int{TGTADM_SUCCESS}, tgt_drivers[0]->stat(MODE_SESSION, 3, 0, 0, 0, nullptr));
  tgt_drivers[0]->target_destroy(3, 0);
  STRCMP_EQUAL("update 3 show 3 show 3 destroy 3 ", asked.c_str());
}

TEST(DefaultDriver, in_request__tells_requests_that_named_us) {
  through_iscsi = false;
  driver_table.update(MODE_CONNECTION, OP_DELETE, 3, 1, 0, 1, nullptr);
  through_iscsi = true;
  CHECK_FALSE(DefaultDriver::in_request());
  CHECK_EQUAL(int{TGTADM_SUCCESS}, update(MODE_CONNECTION, 3));
  CHECK_FALSE(DefaultDriver::in_request());
}

TEST(DefaultDriver, all_others_are_iscsis) {
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, update(MODE_CONNECTION, 4));
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, tgt_drivers[0]->show(MODE_TARGET, -1, 0, 0, 0, nullptr));
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, tgt_drivers[0]->show(MODE_SYSTEM, 3, 0, 0, 0, nullptr));
  tgt_drivers[0]->target_destroy(4, 0);
  STRCMP_EQUAL("", asked.c_str());
}

TEST(DefaultDriver, nothing_is_ours_that_is_not_wanted) {
  wanted = false;
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, update(MODE_CONNECTION, 3));
  tgt_drivers[0]->target_destroy(3, 0);
  STRCMP_EQUAL("", asked.c_str());
}

TEST(DefaultDriver, the_state_is_iscsis_and_we_hear_of_it) {
  char offline[] = "State=offline";
  CHECK_EQUAL(int{TGTADM_SUCCESS}, update(MODE_SYSTEM, 3, offline));
  CHECK_EQUAL(0, is_system_available());
  STRCMP_EQUAL("system ", asked.c_str());
}

TEST(DefaultDriver, its_end_leaves_iscsi_as_it_was) {
  const auto taken = tgt_drivers[0]->update;
  hook.reset();
  CHECK_TRUE(tgt_drivers[0]->update != taken);
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, update(MODE_CONNECTION, 3));
  // Somebody who kept the callback finds iSCSI behind it.
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, taken(MODE_CONNECTION, OP_DELETE, 3, 1, 0, 1, nullptr));
  hook.emplace(callbacks);
  CHECK_EQUAL(int{TGTADM_SUCCESS}, update(MODE_CONNECTION, 3));
}

TEST(DefaultDriver, somebody_in_front_of_it_is_left_there_and_not_called_in_circles) {
  static decltype(tgt_driver::update) behind;
  behind = tgt_drivers[0]->update;
  const auto in_front = [](int mode, int op, int tid, std::uint64_t sid, std::uint64_t lun,
                           std::uint32_t cid, char* name) {
    asked += "front ";
    return behind(mode, op, tid, sid, lun, cid, name);
  };
  tgt_drivers[0]->update = in_front;
  hook.reset();
  hook.emplace(callbacks);
  CHECK_EQUAL(int{TGTADM_SUCCESS}, update(MODE_CONNECTION, 3));
  STRCMP_EQUAL("front update 3 ", asked.c_str());
  CHECK_EQUAL(int{TGTADM_NO_TARGET}, update(MODE_CONNECTION, 4));
}

TEST(DefaultDriver, a_first_driver_without_callbacks_is_left_alone) {
  hook.reset();
  tgt_drivers[0]->update = nullptr;
  tgt_drivers[0]->target_destroy = nullptr;
  hook.emplace(callbacks);
  POINTERS_EQUAL(nullptr, reinterpret_cast<void*>(tgt_drivers[0]->update));
  hook.reset();
  POINTERS_EQUAL(nullptr, reinterpret_cast<void*>(tgt_drivers[0]->target_destroy));
}

TEST(DefaultDriver, a_driver_before_all_others_has_nobody_to_stand_in_for) {
  hook.reset();
  tgt_driver* first = tgt_drivers[0];
  tgt_drivers[0] = nullptr;
  hook.emplace(callbacks);
  hook.reset();
  tgt_drivers[0] = &driver_table;
  hook.emplace(callbacks);
  CHECK_TRUE(driver_table.update == own_update);
  tgt_drivers[0] = first;
}
