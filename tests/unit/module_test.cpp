// The module as tgtd sees it: its entry, and each callback of its table.
#include <cstring>

#include "plugin_api/target_view.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

extern "C" void register_bs_module();

using namespace srp;
using namespace srp::test;

namespace {

constexpr const char* settings =
    "credits = 4;\nportals = [ \"10.0.0.1\" ];\nsrp_max_req_size = 1024;\ncommand_mib_max = 1;\n"
    "buffer_mib = 16;\nsrpt_service_guid = \"0002c90300a1b2c3\";\n";

}  // namespace

TEST_GROUP(Module) {
  ConfigFile config{settings};
  std::unique_ptr<fake::World> world = std::make_unique<fake::World>(1);
  Client client;

  tgt::tgt_driver& table() { return tgt::driver_table; }
  void load() {
    world->fabric->add_hca();
    world->tgtd->load_driver();
  }
  void teardown() override {
    client.~Client();
    new (&client) Client;
    if (fake::Tgtd::driver() != nullptr) {
      if (table().init != nullptr) table().exit();
      settle();
    }
    world->fabric->expect_nothing_left();
    world->cm->expect_nothing_left();
    world.reset();
  }
  void settle() {
    for (int i = 0; i < 1000 && world->tgtd->busy(); ++i) world->tgtd->turn();
  }
  fake::Target& make_target(int tid = 1) {
    fake::Target& target = world->tgtd->create_target(tid, "iqn.2024-01.org.example:disk");
    target.addresses.emplace_back("ALL");
    return target;
  }
  // A login, over a connection that only this test moves.
  void log_in() {
    tgt::concat_buf shown;
    CHECK_EQUAL(0, table().show(tgt::MODE_TARGET, 1, 0, 0, 0, &shown));
    wire::LoginReqRdma request{};
    request.max_iu_bytes = std::uint32_t{1024};
    request.initiator_port = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const std::string hex = shown.text.substr(std::strlen("Target port: 0x"), 32);
    for (std::size_t i = 0; i < 16; ++i) {
      request.target_port[i] =
          static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
    }
    fake::ConnectRequest connect;
    connect.port = 5000;
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&request);
    connect.private_data = {raw, raw + sizeof request};
    client.connection = &world->cm->connect(client, *world->fabric->hcas[0], std::move(connect));
    for (int i = 0; i < 6; ++i) {
      fake::Choices choices;
      if (!client.connection->requested || !client.connection->to_initiator.empty() ||
          !client.connection->to_target.empty()) {
        client.connection->add_choices(choices);
        choices.run_one(world->random);
      }
      settle();
    }
    CHECK_TRUE(client.up);
  }
  // Runs what the fabric and tgtd have to do.
  void run_world() {
    fake::Choices choices;
    for (int i = 0; i < 1000; ++i) {
      choices.clear();
      world->fabric->add_choices(choices);
      if (choices.empty() && !world->tgtd->busy()) return;
      if (!choices.empty()) choices.run_one(world->random);
      settle();
    }
  }
  int nexus_count() { return static_cast<int>(world->tgtd->find_target(1)->nexuses.size()); }
};

// ---- the entry ----

TEST(Module, register_bs_module__makes_a_driver_that_is_ready) {
  load();
  STRCMP_EQUAL("srp", table().name);
  STRCMP_EQUAL("rdwr", table().default_bst);
  CHECK_EQUAL(unsigned{tgt::DRIVER_INIT}, table().drv_state);
  CHECK_EQUAL(1, tgt::get_driver_index(const_cast<char*>("srp")));
  CHECK_TRUE(table().init && table().exit && table().target_create && table().target_destroy &&
             table().portal_create && table().portal_destroy && table().lu_create &&
             table().update && table().show && table().stat && table().cmd_end_notify &&
             table().mgmt_end_notify && table().transportid);
  CHECK_TRUE(table().scsi_get_lun == nullptr);
}

TEST(Module, register_bs_module__a_second_copy_is_ignored) {
  load();
  const std::string log = log_of([] { register_bs_module(); });
  STRCMP_CONTAINS("a second copy of the module is ignored", log.c_str());
}

TEST(Module, register_bs_module__stays_out_of_a_tgtd_that_is_laid_out_differently) {
  const char* name = std::exchange(tgt::tgt_drivers[0]->default_bst, "other");
  const std::string log = log_of([] { register_bs_module(); });
  tgt::tgt_drivers[0]->default_bst = name;
  STRCMP_CONTAINS("laid out differently (tgt_driver.default_bst): the driver stays out",
                  log.c_str());
  CHECK_TRUE(fake::Tgtd::driver() == nullptr);
}

// ---- init and exit ----

TEST(Module, on_init__a_driver_that_cannot_start_does_not_end_tgtds_start) {
  world->faults.set(fake::Fault::watch, 1);
  const std::string log = log_of([&] { load(); });
  world->faults.clear();
  STRCMP_CONTAINS("error: srp: the driver cannot start: tgt_event_add", log.c_str());
  CHECK_EQUAL(unsigned{tgt::DRIVER_INIT}, table().drv_state);
  tgt::concat_buf out;
  CHECK_EQUAL(0, table().show(tgt::MODE_SYSTEM, -1, 0, 0, 0, &out));
  STRCMP_CONTAINS("    State: not running: tgt_event_add: ", out.text.c_str());
  out.text.clear();
  CHECK_EQUAL(0, table().init(1, nullptr));  // tgtadm --mode lld --op start
  CHECK_EQUAL(0, table().show(tgt::MODE_SYSTEM, -1, 0, 0, 0, &out));
  STRCMP_CONTAINS("    State: listening\n", out.text.c_str());
}

TEST(Module, on_init__a_second_time_keeps_the_driver_that_runs) {
  load();
  const std::size_t ids = world->cm->ids.size();
  CHECK_EQUAL(0, table().init(1, nullptr));
  CHECK_EQUAL(ids, world->cm->ids.size());
}

TEST(Module, on_exit__gives_everything_back_and_may_come_twice) {
  load();
  table().exit();
  world->cm->expect_nothing_left();
  table().exit();
  CHECK_EQUAL(0, table().init(1, nullptr));
  CHECK_FALSE(world->cm->ids.empty());
}

TEST(Module, callbacks__without_a_driver_do_nothing) {
  load();
  table().exit();
  tgt::concat_buf out;
  char portal[] = "portal=10.0.0.2,";
  char id[32];
  tgt::mgmt_req request{};
  fake::Target& target = make_target();  // its creation, and its unit's, are told as well
  for (const int mode : {tgt::MODE_TARGET, tgt::MODE_PORTAL, tgt::MODE_CONNECTION}) {
    CHECK_EQUAL(int{tgt::TGTADM_NO_DRIVER}, table().show(mode, 1, 0, 0, 0, &out));
  }
  CHECK_EQUAL(int{tgt::TGTADM_NO_DRIVER}, table().stat(tgt::MODE_SESSION, 1, 0, 0, 0, &out));
  CHECK_EQUAL(int{tgt::TGTADM_NO_DRIVER},
              table().update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, 0, 0, nullptr));
  CHECK_EQUAL(-EINVAL, table().portal_create(portal));
  CHECK_EQUAL(-EINVAL, table().portal_destroy(portal));
  CHECK_EQUAL(0, table().transportid(1, 1, id, sizeof id));
  CHECK_EQUAL(0, table().mgmt_end_notify(&request));
  table().target_destroy(1, 0);
  STRCMP_EQUAL("", out.text.c_str());
  CHECK_TRUE(world->tgtd->delete_target(target, true, true));
}

// ---- targets ----

TEST(Module, on_target_create__and_destroy) {
  load();
  make_target();
  log_in();
  CHECK_EQUAL(1, nexus_count());
  table().target_destroy(77, 0);  // another driver's
  CHECK_EQUAL(1, nexus_count());
  table().target_destroy(1, 1);
  CHECK_EQUAL(0, nexus_count());
  settle();
}

TEST(Module, on_target_create__a_target_that_is_laid_out_differently_is_not_served) {
  load();
  fake::Target& target = make_target();
  table().target_destroy(1, 0);
  tgt::concat_buf out;
  for (int* wrong : {&target.lid, &target.tid}) {
    const int right = std::exchange(*wrong, -1);
    int result = 0;
    const std::string log = log_of([&] { result = table().target_create(&target); });
    *wrong = right;
    CHECK_EQUAL(-EINVAL, result);
    STRCMP_CONTAINS("this tgtd is laid out differently (target.lid, target.tid): target",
                    log.c_str());
    CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, table().show(tgt::MODE_TARGET, 1, 0, 0, 0, &out));
  }
  CHECK_EQUAL(0, table().target_create(&target));
  CHECK_EQUAL(0, table().show(tgt::MODE_TARGET, 1, 0, 0, 0, &out));
}

// ---- units ----

TEST(Module, on_lu_create__says_srp_instead_of_iscsi) {
  load();
  fake::Target& target = make_target();
  fake::Lu& lu = world->tgtd->create_lu(target, 1, 64, false);
  lu.attrs.version_desc[1] = 0x0960;
  CHECK_EQUAL(0, table().lu_create(&lu));
  CHECK_EQUAL(0x0940, int{lu.attrs.version_desc[1]});
  lu.attrs.version_desc[1] = 0x04c0;
  table().lu_create(&lu);
  CHECK_EQUAL(0x04c0, int{lu.attrs.version_desc[1]});
}

TEST(Module, on_lu_create__says_how_much_a_command_may_move) {
  load();
  fake::Target& target = make_target();
  fake::Lu& lu = world->tgtd->create_lu(target, 1, 64, false);
  const std::uint8_t* length = lu.attrs.lu_vpd[0x30]->data + 4;
  const std::uint8_t blocks_of_512[] = {0, 0, 0x08, 0x00};  // 1 MiB
  MEMCMP_EQUAL(blocks_of_512, length, 4);
  lu.blk_shift = 12;
  table().lu_create(&lu);
  const std::uint8_t blocks_of_4096[] = {0, 0, 0x01, 0x00};
  MEMCMP_EQUAL(blocks_of_4096, length, 4);
  CHECK_EQUAL(0, int{lu.attrs.lu_vpd[0x30]->data[3]});
  CHECK_EQUAL(0, int{lu.attrs.lu_vpd[0x30]->data[8]});
}

TEST(Module, on_lu_create__leaves_a_page_alone_that_is_too_short_or_missing) {
  load();
  fake::Target& target = make_target();
  fake::Lu& lu = world->tgtd->create_lu(target, 1, 64, false);
  tgt::vpd* page = lu.attrs.lu_vpd[0x30];
  std::memset(page->data, 0, page->size);
  const std::uint16_t size = std::exchange(page->size, std::uint16_t{7});
  CHECK_EQUAL(0, table().lu_create(&lu));
  const std::uint8_t untouched[8] = {};
  MEMCMP_EQUAL(untouched, page->data, 8);
  page->size = 8;
  table().lu_create(&lu);
  CHECK_EQUAL(0x08, int{page->data[6]});
  page->size = size;
  lu.attrs.lu_vpd[0x30] = nullptr;
  CHECK_EQUAL(0, table().lu_create(&lu));
  lu.attrs.lu_vpd[0x30] = page;
}

// ---- administration ----

TEST(Module, on_portal_create__and_destroy) {
  load();
  char portal[] = "portal=10.0.0.2:77,";
  CHECK_EQUAL(0, table().portal_create(portal));
  CHECK_EQUAL(-EINVAL, table().portal_create(portal));
  CHECK_EQUAL(0, table().portal_destroy(portal));
  CHECK_EQUAL(-EINVAL, table().portal_destroy(portal));
  CHECK_EQUAL(-EINVAL, table().portal_create(nullptr));
}

// tgtd hands lun and cid to update in another order than to show and stat.
TEST(Module, on_update__and_show_and_stat_take_the_session_from_its_place) {
  load();
  make_target();
  log_in();
  tgt::concat_buf out;
  CHECK_EQUAL(0, table().show(tgt::MODE_CONNECTION, 1, 1, 55, 66, &out));
  STRCMP_CONTAINS("Session: 1\n", out.text.c_str());
  CHECK_EQUAL(0, table().stat(tgt::MODE_SESSION, 1, 1, 55, 66, &out));
  CHECK_EQUAL(int{tgt::TGTADM_NO_SESSION}, table().stat(tgt::MODE_SESSION, 1, 2, 55, 66, &out));
  CHECK_EQUAL(int{tgt::TGTADM_NO_CONNECTION},
              table().update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 2, 1, 1, nullptr));
  CHECK_EQUAL(0, table().update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 1, 55, 66, nullptr));
  settle();
  CHECK_EQUAL(0, nexus_count());
}

TEST(Module, on_transport_id__is_that_of_srp_with_the_initiators_identifier) {
  load();
  make_target();
  log_in();
  char id[25];
  std::memset(id, 0x5a, sizeof id);
  CHECK_EQUAL(0, table().transportid(1, 1, id, 23));
  CHECK_EQUAL(0x5a, int{id[0]});
  CHECK_EQUAL(24, table().transportid(1, 1, id, 24));
  const std::uint8_t expected[] = {4, 0, 0, 0, 0,  0,  0,  0,  1,  2,  3,  4,   5,
                                   6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x5a};
  MEMCMP_EQUAL(expected, id, sizeof id);
  CHECK_EQUAL(0, table().transportid(1, 2, id, 24));
  CHECK_EQUAL(0, table().transportid(2, 1, id, 24));
}

// ---- commands and tasks ----

TEST(Module, on_cmd_end__reaches_its_command) {
  load();
  make_target();
  log_in();
  client.send(CmdSpec{.tag = 5, .lun = {}, .cdb = inquiry(0)});
  run_world();
  CHECK_EQUAL(0U, client.answer_to(5).status());
}

TEST(Module, on_mgmt_end__reaches_its_task) {
  load();
  make_target();
  log_in();
  client.send_task(7, wire::TaskFunction::lun_reset, 0, {});
  run_world();
  CHECK_EQUAL(0, client.answer_to(7).code());
  tgt::mgmt_req stray{};
  stray.mid = 12345;
  CHECK_EQUAL(0, table().mgmt_end_notify(&stray));
}
