// The driver looks at a tgtd that is laid out differently, and says so.
#include "plugin_api/self_check.h"

#include <string>

#include "tests/fake/tgtd.h"
#include "tests/unit/harness.h"

using srp::fake::list_add_tail;
using srp::fake::list_init;
using srp::tgt::check_host;
using srp::tgt::check_target;
using srp::tgt::list_head;

namespace {

int no_init(int, char*) { return 0; }
int no_command(std::uint64_t, int, srp::tgt::scsi_cmd*) { return 0; }
int no_management(srp::tgt::mgmt_req*) { return 0; }

}  // namespace

TEST_GROUP(SelfCheckHost) {
  srp::tgt::tgt_driver first{};
  srp::tgt::tgt_driver* saved = srp::tgt::tgt_drivers[0];

  void setup() override {
    first.name = "iscsi";
    first.drv_state = srp::tgt::DRIVER_INIT;
    first.init = no_init;
    first.cmd_end_notify = no_command;
    first.mgmt_end_notify = no_management;
    first.default_bst = "rdwr";
    list_init(first.target_list);
    srp::tgt::tgt_drivers[0] = &first;
  }

  void teardown() override { srp::tgt::tgt_drivers[0] = saved; }
};

TEST(SelfCheckHost, finds_nothing_wrong_with_tgtd) { POINTERS_EQUAL(nullptr, check_host()); }

TEST(SelfCheckHost, wants_a_built_in_driver) {
  srp::tgt::tgt_drivers[0] = nullptr;
  STRCMP_EQUAL("no built-in driver", check_host());
}

TEST(SelfCheckHost, wants_a_name_that_can_be_read) {
  const std::string longest(31, 'x');
  const std::string too_long(32, 'x');
  const struct {
    const char* name;
    bool good;
  } rows[] = {
      {nullptr, false},          {"", false},        {"iscsi", true}, {"x", true},
      {longest.c_str(), true},   {"isc\x01", false}, {"\xff", false}, {"i\n", false},
      {too_long.c_str(), false},
  };
  for (const auto& row : rows) {
    first.name = row.name;
    if (row.good) {
      POINTERS_EQUAL(nullptr, check_host());
    } else {
      STRCMP_EQUAL("tgt_driver.name", check_host());
    }
  }
}

TEST(SelfCheckHost, wants_a_state_that_there_is) {
  for (std::uint32_t state = 0; state < 4; ++state) {
    first.drv_state = state;
    POINTERS_EQUAL(nullptr, check_host());
  }
  for (const std::uint32_t state : {4U, 0x7fffU, 0xffffffffU}) {
    first.drv_state = state;
    STRCMP_EQUAL("tgt_driver.drv_state", check_host());
  }
}

TEST(SelfCheckHost, wants_the_callbacks_that_every_driver_has) {
  first.init = nullptr;
  STRCMP_EQUAL("tgt_driver", check_host());
  first.init = no_init;
  first.cmd_end_notify = nullptr;
  STRCMP_EQUAL("tgt_driver", check_host());
  first.cmd_end_notify = no_command;
  first.mgmt_end_notify = nullptr;
  STRCMP_EQUAL("tgt_driver", check_host());
}

TEST(SelfCheckHost, wants_the_default_store) {
  for (const char* store : {static_cast<const char*>(nullptr), "", "rdw", "rdwr2", "aio"}) {
    first.default_bst = store;
    STRCMP_EQUAL("tgt_driver.default_bst", check_host());
  }
}

TEST(SelfCheckHost, follows_the_list_of_targets) {
  list_head links[3];
  for (list_head& link : links) list_add_tail(link, first.target_list);
  POINTERS_EQUAL(nullptr, check_host());
  links[1].prev = &links[1];
  STRCMP_EQUAL("tgt_driver.target_list", check_host());
  links[1].prev = &links[0];
  links[2].next = nullptr;
  STRCMP_EQUAL("tgt_driver.target_list", check_host());
  first.target_list = {};
  STRCMP_EQUAL("tgt_driver.target_list", check_host());
}

TEST(SelfCheckHost, does_not_follow_a_list_for_ever) {
  list_head ring[2];
  ring[0] = {&ring[1], &ring[1]};
  ring[1] = {&ring[0], &ring[0]};
  first.target_list.next = &ring[0];
  ring[0].prev = &first.target_list;
  STRCMP_EQUAL("tgt_driver.target_list", check_host());  // the ring does not lead back
  list_head entry{&ring[1], &first.target_list};
  ring[0].prev = &ring[1];
  ring[1].prev = &ring[0];
  first.target_list.next = &entry;
  STRCMP_EQUAL("tgt_driver.target_list", check_host());
}

TEST_GROUP(SelfCheckTarget) {
  srp::tgt::target target{};
  srp::tgt::scsi_lu lu{};
  char name[16] = "iqn.test";

  void setup() override {
    target.name = name;
    target.tid = 1;
    target.lid = 3;
    for (list_head* head :
         {&target.device_list, &target.it_nexus_list, &target.acl_list, &target.iqn_acl_list}) {
      list_init(*head);
    }
    lu.tgt = &target;
    list_add_tail(lu.device_siblings, target.device_list);
  }
};

TEST(SelfCheckTarget, finds_nothing_wrong_with_a_new_target) {
  POINTERS_EQUAL(nullptr, check_target(target, 3));
}

TEST(SelfCheckTarget, wants_its_driver_and_a_number) {
  STRCMP_EQUAL("target.lid, target.tid", check_target(target, 2));
  for (const int tid : {0, -1}) {
    target.tid = tid;
    STRCMP_EQUAL("target.lid, target.tid", check_target(target, 3));
  }
}

TEST(SelfCheckTarget, wants_a_name) {
  target.name = nullptr;
  STRCMP_EQUAL("target.name", check_target(target, 3));
}

TEST(SelfCheckTarget, wants_empty_lists_of_nexuses_and_acls) {
  for (list_head* head : {&target.it_nexus_list, &target.acl_list, &target.iqn_acl_list}) {
    list_head link;
    list_add_tail(link, *head);
    STRCMP_EQUAL("target.acl_list", check_target(target, 3));
    *head = {head, &link};
    STRCMP_EQUAL("target.acl_list", check_target(target, 3));
    *head = {&link, head};
    STRCMP_EQUAL("target.acl_list", check_target(target, 3));
    *head = {};
    STRCMP_EQUAL("target.acl_list", check_target(target, 3));
    list_init(*head);
    POINTERS_EQUAL(nullptr, check_target(target, 3));
  }
}

TEST(SelfCheckTarget, wants_a_list_of_units_that_leads_back) {
  lu.device_siblings.next = nullptr;
  STRCMP_EQUAL("target.device_list", check_target(target, 3));
}

TEST(SelfCheckTarget, wants_unit_0_of_the_target_first) {
  lu.lun = 1;
  STRCMP_EQUAL("scsi_lu", check_target(target, 3));
  lu.lun = 0;
  lu.tgt = nullptr;
  STRCMP_EQUAL("scsi_lu", check_target(target, 3));
  list_init(target.device_list);
  STRCMP_EQUAL("scsi_lu", check_target(target, 3));
}
