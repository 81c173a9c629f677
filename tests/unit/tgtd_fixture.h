// A world with a tgtd whose driver is the test: callbacks are noted.
#pragma once

#include <vector>

#include "plugin_api/event_loop.h"
#include "plugin_api/target_view.h"
#include "tests/fake/fabric.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"
#include "tests/unit/harness.h"

namespace srp::test {

TEST_BASE(TgtdTest) {
  fake::World world{1};
  fake::Tgtd& tgtd = *world.tgtd;

  TgtdTest() {
    tgt::tgt_driver& driver = tgt::driver_table;
    driver = {};
    driver.name = "srp";
    driver.drv_state = tgt::DRIVER_INIT;
    driver.cmd_end_notify = on_command_end;
    driver.mgmt_end_notify = on_management_end;
    fake::list_init(driver.target_list);
    tgt::tgt_drivers[1] = &driver;
    the_test = this;
  }

  // The scheduled event of event_loop.cpp outlives the test, and must not stay in this tgtd's list.
  ~TgtdTest() override {
    tgtd.turn();
    tgt::tgt_drivers[1] = nullptr;
    tgt::driver_table = {};
    the_test = nullptr;
  }

  virtual int command_ended(std::uint64_t, int, tgt::scsi_cmd*) { return 0; }
  virtual int management_ended(const tgt::mgmt_req&) { return 0; }

  // Runs jobs and handlers until nothing is due.
  void settle() {
    for (int i = 0; i < 100 && tgtd.busy(); ++i) tgtd.turn();
  }

 private:
  static int on_command_end(std::uint64_t nexus, int result, tgt::scsi_cmd* cmd) {
    return the_test->command_ended(nexus, result, cmd);
  }
  static int on_management_end(tgt::mgmt_req * request) {
    return the_test->management_ended(*request);
  }
  static inline TgtdTest* the_test;
};

// The same, with a device of ours opened.
struct DeviceTest : TgtdTest {
  fake::Hca& hca = world.fabric->add_hca();
  ibv_context* context = ibv_open_device(&hca.device);
  ibv_pd* pd = ibv_alloc_pd(context);

  ~DeviceTest() override {
    ibv_dealloc_pd(pd);
    ibv_close_device(context);
    world.fabric->expect_nothing_left();
  }
};

}  // namespace srp::test
