// What tgtadm may change: connections that it deletes, portals that come and go, and no more.
#include "lld_srp/admin.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(AdminUpdate) {
  std::unique_ptr<Rig> rig;
  std::string log;  // of the last request

  void make(const RigOptions& options = {}) { rig = std::make_unique<Rig>(options); }
  void teardown() override {
    rig.reset();
    trace_flags = 0;
  }

  int update(int mode, int op, int tid = 1, std::uint64_t sid = 0, const char* name = nullptr) {
    int result = -1;
    log = log_of([&] { result = admin::update(*rig->driver, mode, op, tid, sid, name); });
    return result;
  }
  bool create(const char* params) {
    bool created = false;
    log = log_of([&] { created = admin::create_portals(*rig->driver, params); });
    return created;
  }
  bool destroy(const char* params) {
    bool destroyed = false;
    log = log_of([&] { destroyed = admin::destroy_portals(*rig->driver, params); });
    return destroyed;
  }
  std::string portals() {
    std::string all;
    for (const auto& portal : rig->listener().portals()) {
      all += portal.portal.address + " " + std::to_string(portal.portal.port) + ";";
    }
    return all;
  }
};

// ---- targets, system ----

TEST(AdminUpdate, update__iscsi_keys_of_a_target_are_accepted_and_ignored) {
  make();
  for (const char* key : {"MaxRecvDataSegmentLength",
                          "MaxXmitDataSegmentLength",
                          "HeaderDigest",
                          "DataDigest",
                          "InitialR2T",
                          "MaxOutstandingR2T",
                          "ImmediateData",
                          "FirstBurstLength",
                          "MaxBurstLength",
                          "DataPDUInOrder",
                          "DataSequenceInOrder",
                          "ErrorRecoveryLevel",
                          "IFMarker",
                          "OFMarker",
                          "IFMarkInt",
                          "OFMarkInt",
                          "DefaultTime2Wait",
                          "DefaultTime2Retain",
                          "MaxConnections",
                          "MaxQueueCmd"}) {
    CHECK_EQUAL_TEXT(int{tgt::TGTADM_SUCCESS}, update(tgt::MODE_TARGET, tgt::OP_UPDATE, 1, 0, key),
                     key);
    STRCMP_CONTAINS(key, log.c_str());
  }
}

TEST(AdminUpdate, update__other_keys_of_a_target_are_unknown) {
  make();
  for (const char* key : {"", "MaxBurst", "maxburstlength", "state-srp-depth"}) {
    CHECK_EQUAL(int{tgt::TGTADM_UNKNOWN_PARAM},
                update(tgt::MODE_TARGET, tgt::OP_UPDATE, 1, 0, key));
  }
  CHECK_EQUAL(int{tgt::TGTADM_UNKNOWN_PARAM}, update(tgt::MODE_TARGET, tgt::OP_UPDATE));
  STRCMP_CONTAINS("target parameter (none) is unknown", log.c_str());
}

TEST(AdminUpdate, update__keys_of_a_target_that_there_is_not) {
  make();
  CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET},
              update(tgt::MODE_TARGET, tgt::OP_UPDATE, 77, 0, "MaxBurstLength"));
  STRCMP_CONTAINS("update target: there is no SRP target 77", log.c_str());
}

TEST(AdminUpdate, update__settings_of_logins_change_for_those_to_come) {
  make();
  const Client& before = rig->log_in();
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "credits=3"));
  STRCMP_CONTAINS(("credits = 3 from now on, for new logins; " + rig->config.path()).c_str(),
                  log.c_str());
  const Client& after = rig->log_in({.initiator = 2});
  CHECK_EQUAL(4U, std::uint32_t{before.login_rsp->request_limit_delta});
  CHECK_EQUAL(3U, std::uint32_t{after.login_rsp->request_limit_delta});
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "t_logout=on"));
  CHECK_TRUE(rig->driver->config().settings.t_logout);
}

TEST(AdminUpdate, update__settings_that_are_laid_out_before_need_a_restart) {
  make();
  for (const std::string name : {"rdma_cm_port", "use_srq", "buffer_mib", "srpt_port_names"}) {
    CHECK_EQUAL(int{tgt::TGTADM_UNSUPPORTED_OPERATION},
                update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, (name + "=1").c_str()));
    STRCMP_CONTAINS((name + " cannot change while tgtd runs: set it in " + rig->config.path() +
                     " and restart tgtd")
                        .c_str(),
                    log.c_str());
  }
}

TEST(AdminUpdate, update__what_shared_receives_are_laid_out_for_needs_a_restart) {
  make({.more = "use_srq = true;"});
  for (const std::string name : {"credits", "srp_max_req_size", "immediate_data"}) {
    CHECK_EQUAL(int{tgt::TGTADM_UNSUPPORTED_OPERATION},
                update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, (name + "=1").c_str()));
    STRCMP_CONTAINS("and use_srq is true", log.c_str());
  }
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "channels_max=1"));
}

TEST(AdminUpdate, update__a_value_out_of_range_changes_nothing) {
  make();
  for (const char* parameter : {"credits=1", "credits=4097", "credits=", "credits", "credits=x"}) {
    CHECK_EQUAL_TEXT(int{tgt::TGTADM_INVALID_REQUEST},
                     update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, parameter), parameter);
    STRCMP_CONTAINS(": write an integer from 2 to 4096 (requests)", log.c_str());
  }
  CHECK_EQUAL(4U, rig->driver->config().settings.credits);
  CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "t_logout=maybe"));
  STRCMP_CONTAINS("t_logout=maybe: write true or false", log.c_str());
}

TEST(AdminUpdate, update__offline_ends_all_sessions_and_ready_lets_them_come_back) {
  make();
  rig->log_in();
  rig->log_in({.initiator = 2});
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "State=offline"));
  CHECK_EQUAL(0, tgt::is_system_available());
  rig->run();
  CHECK_EQUAL(0U, rig->driver->ports().session_count());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "State=ready"));
  rig->log_in();
  CHECK_EQUAL(1U, rig->driver->ports().session_count());
}

TEST(AdminUpdate, update__other_states_are_refused) {
  make();
  for (const char* parameter : {"State=odd", "State=", "State"}) {
    CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST},
                update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, parameter));
    STRCMP_CONTAINS(": write offline or ready", log.c_str());
  }
}

TEST(AdminUpdate, update__other_system_parameters_are_unknown) {
  make();
  for (const char* parameter : {"no-such-name=1", "portals=1", "trace_flags=1", "=", "(none)"}) {
    const bool none = std::string_view{parameter} == "(none)";
    CHECK_EQUAL_TEXT(int{tgt::TGTADM_UNKNOWN_PARAM},
                     update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, none ? nullptr : parameter),
                     parameter);
    STRCMP_CONTAINS(
        (std::string{"parameter "} + parameter + " is unknown or no single value").c_str(),
        log.c_str());
  }
  STRCMP_CONTAINS("see srp.conf(5)", log.c_str());
  update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "trace_flags=1");
  STRCMP_CONTAINS(": perhaps trace_flag;", log.c_str());
  CHECK_EQUAL(0U, trace_flags);
}

TEST(AdminUpdate, update__trace_flag_takes_numbers_and_names) {
  make({.more = "trace_flag = 1;"});
  CHECK_EQUAL(1U, trace_flags);
  const struct {
    const char* parameter;
    std::uint32_t flags;
  } rows[] = {{"trace_flag=5", 5},
              {"trace_flag=0x11", 17},
              {"trace_flag=task,iu", 20},
              {"trace_flag=all", 127},
              {"trace_flag=none", 0}};
  for (const auto& row : rows) {
    CHECK_EQUAL_TEXT(int{tgt::TGTADM_SUCCESS},
                     update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, row.parameter), row.parameter);
    CHECK_EQUAL_TEXT(row.flags, trace_flags, row.parameter);
    STRCMP_CONTAINS("srp: trace: ", log.c_str());
  }
}

TEST(AdminUpdate, update__trace_flag_of_another_value_is_refused_and_changes_nothing) {
  make({.more = "trace_flag = 4;"});
  for (const std::string value : {"", "128", "tasks", "task,", "on"}) {
    CHECK_EQUAL_TEXT(
        int{tgt::TGTADM_INVALID_REQUEST},
        update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, ("trace_flag=" + value).c_str()),
        value.c_str());
    STRCMP_CONTAINS(("trace_flag=" + value +
                     ": write a number up to 127, all, none, or names out "
                     "of login,channel,")
                        .c_str(),
                    log.c_str());
  }
  CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST},
              update(tgt::MODE_SYSTEM, tgt::OP_UPDATE, -1, 0, "trace_flag"));
  CHECK_EQUAL(4U, trace_flags);
}

TEST(AdminUpdate, update__is_traced) {
  make({.more = "trace_flag = 64;"});
  update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 77);
  STRCMP_CONTAINS("[admin] update: mode ", log.c_str());
  STRCMP_CONTAINS("target 1, session 77, (no name)", log.c_str());
}

TEST(AdminUpdate, update__other_modes_are_refused) {
  make();
  for (const int mode : {tgt::MODE_DEVICE, tgt::MODE_PORTAL, tgt::MODE_LLD, tgt::MODE_ACCOUNT}) {
    CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST}, update(mode, tgt::OP_UPDATE));
    STRCMP_CONTAINS("nothing to update in mode", log.c_str());
  }
}

// ---- connections ----

TEST(AdminUpdate, delete__of_a_connection_ends_its_session) {
  for (const int mode : {tgt::MODE_CONNECTION, tgt::MODE_SESSION}) {
    make();
    Client& one = rig->log_in();
    Client& two = rig->log_in({.action = wire::MultiChannelAction::multi});
    Client& other = rig->log_in({.initiator = 2});
    CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, update(mode, tgt::OP_DELETE, 1, 1));
    rig->run();
    CHECK_TRUE(one.disconnected);
    CHECK_TRUE(two.disconnected);
    CHECK_EQUAL(0U, rig->ask(other, {.tag = 1}).status());
    rig.reset();
  }
}

TEST(AdminUpdate, delete__of_missing_connection_names_it) {
  make();
  rig->log_in();
  CHECK_EQUAL(int{tgt::TGTADM_NO_CONNECTION}, update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 77));
  STRCMP_CONTAINS("delete connection: target 1 has no session 77: see", log.c_str());
  CHECK_EQUAL(int{tgt::TGTADM_NO_SESSION}, update(tgt::MODE_SESSION, tgt::OP_DELETE, 1, 77));
  STRCMP_CONTAINS("target 1 has no session 77", log.c_str());
}

TEST(AdminUpdate, delete__of_a_target_that_there_is_not) {
  make();
  CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 77, 1));
  STRCMP_CONTAINS("delete connection: there is no SRP target 77", log.c_str());
}

TEST(AdminUpdate, delete__of_a_session_that_drains_is_no_error) {
  make();
  Client& client = rig->log_in();
  rig->lu().stalled = true;
  client.send(rig->write(client, 1));
  rig->run();
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 1));
  rig->run();
  CHECK_EQUAL(1U, rig->port().sessions().size());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 1));
}

// tgt-admin's next request deletes the target, which must have no nexus then.
TEST(AdminUpdate, delete__of_an_idle_session_is_over_when_it_returns) {
  for (const char* more : {"", "use_srq = true;"}) {
    make({.more = more});
    rig->log_in();
    CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 1));
    CHECK_EQUAL_TEXT(0U, rig->driver->ports().session_count(), more);
    CHECK_TRUE_TEXT(rig->target().nexuses.empty(), more);
    rig.reset();
  }
}

TEST(AdminUpdate, update__sessions_and_connections_know_delete_only) {
  make();
  rig->log_in();
  for (const int op : {tgt::OP_NEW, tgt::OP_SHOW, tgt::OP_UPDATE, tgt::OP_BIND}) {
    CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST}, update(tgt::MODE_SESSION, op, 1, 1));
    STRCMP_CONTAINS("mode session knows stat and delete", log.c_str());
    CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST}, update(tgt::MODE_CONNECTION, op, 1, 1));
  }
  CHECK_EQUAL(1U, rig->listener().connections().size());
}

TEST(AdminUpdate, delete__of_a_session_that_says_goodbye_is_over_at_the_second_request) {
  make({.more = "t_logout = true;"});
  rig->log_in();
  (void)update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 1);
  (void)update(tgt::MODE_CONNECTION, tgt::OP_DELETE, 1, 1);
  CHECK_EQUAL(0U, rig->driver->ports().session_count());
}

// ---- portals ----

TEST(AdminUpdate, create_portals__takes_a_list_as_tgtadm_hands_it_in) {
  make();
  CHECK_TRUE(create("portal=10.0.0.2:99,portal=[::1],"));
  STRCMP_EQUAL("10.0.0.1 5000;10.0.0.2 99;::1 5000;", portals().c_str());
}

TEST(AdminUpdate, create_portals__key_may_be_missing_and_empty_parts_are_nothing) {
  make();
  CHECK_TRUE(create(",10.0.0.2,,portal=,10.0.0.3:7"));
  STRCMP_EQUAL("10.0.0.1 5000;10.0.0.2 5000;10.0.0.3 7;", portals().c_str());
}

TEST(AdminUpdate, create_portals__a_star_is_every_address) {
  make({.portals = R"([ "10.0.0.1:77" ])"});
  CHECK_TRUE(create("portal=*"));
  STRCMP_EQUAL("10.0.0.1 77;0.0.0.0 5000;:: 5000;ib 5000;", portals().c_str());
  CHECK_TRUE(create("portal=ib:78"));
  STRCMP_CONTAINS(";ib 78;", portals().c_str());
}

TEST(AdminUpdate, create_portals__what_is_no_address_is_refused_by_name) {
  make();
  CHECK_FALSE(create("portal=10.0.0.2,portal=nonsense,portal=10.0.0.3"));
  STRCMP_CONTAINS("portal nonsense: not an address: use 10.0.0.1, 10.0.0.1:5000", log.c_str());
  STRCMP_EQUAL("10.0.0.1 5000;10.0.0.2 5000;", portals().c_str());
}

TEST(AdminUpdate, create_portals__one_that_is_there_is_refused_by_name) {
  make();
  CHECK_FALSE(create("portal=10.0.0.1"));
  STRCMP_CONTAINS("portal 10.0.0.1 is there already", log.c_str());
  CHECK_FALSE(create("portal=10.0.0.1:5000"));
}

TEST(AdminUpdate, create_portals__of_nothing_is_refused) {
  make();
  for (const char* params : {"", ",", "portal=", "portal=,"}) {
    CHECK_FALSE(create(params));
    STRCMP_CONTAINS("no portal: use --param portal=10.0.0.1:5000", log.c_str());
  }
  CHECK_FALSE(create(nullptr));
}

TEST(AdminUpdate, destroy_portals__stops_listening_and_keeps_connections) {
  make();
  Client& client = rig->log_in();
  CHECK_TRUE(destroy("portal=10.0.0.1:5000,"));
  STRCMP_EQUAL("", portals().c_str());
  CHECK_TRUE(rig->world.cm->listener(5000) == nullptr);
  CHECK_EQUAL(0U, rig->ask(client, {.tag = 1}).status());
}

TEST(AdminUpdate, destroy_portals__one_that_is_not_there_is_refused_by_name) {
  make();
  CHECK_FALSE(destroy("portal=10.0.0.9"));
  STRCMP_CONTAINS("there is no portal 10.0.0.9: see", log.c_str());
  CHECK_FALSE(destroy("portal=10.0.0.1:5001"));
  CHECK_FALSE(destroy("portal=x"));
  CHECK_FALSE(destroy(nullptr));
  STRCMP_EQUAL("10.0.0.1 5000;", portals().c_str());
}

TEST(AdminUpdate, portals__none_while_the_configuration_is_broken) {
  make({.more = "credits_max = 4;"});
  CHECK_FALSE(create("portal=10.0.0.2"));
  STRCMP_CONTAINS("no portals while the configuration is broken", log.c_str());
  CHECK_FALSE(destroy("portal=10.0.0.2"));
  STRCMP_CONTAINS("no portals while the configuration is broken", log.c_str());
}
