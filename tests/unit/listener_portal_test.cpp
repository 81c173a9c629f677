// Portals that listen or wait, and devices that come and go under them.
#include "lld_srp/listener.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(ListenerPortal) {
  std::unique_ptr<Rig> rig;

  void make(const RigOptions& options = {}) { rig = std::make_unique<Rig>(options); }
  void teardown() override { rig.reset(); }

  const ListeningPortal& portal(std::size_t index = 0) { return rig->listener().portals()[index]; }
  bool listens(std::size_t index = 0) { return portal(index).id != nullptr; }
  std::size_t count() { return rig->listener().portals().size(); }
  fake::CmId& id(std::size_t index = 0) { return static_cast<fake::CmId&>(*portal(index).id); }
  // The device disappears, and the loop hears of it.
  void remove(fake::Hca & hca) {
    rig->world.fabric->remove(hca);
    rig->run();
    rig->tick();
    rig->run();
  }
};

// ---- portals ----

TEST(ListenerPortal, constructor__without_portals_listens_on_every_address) {
  make({.portals = "[ ]"});
  CHECK_EQUAL(3U, count());
  STRCMP_EQUAL("0.0.0.0", portal(0).portal.address.c_str());
  STRCMP_EQUAL("::", portal(1).portal.address.c_str());
  STRCMP_EQUAL("ib", portal(2).portal.address.c_str());
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK_TRUE(listens(i));
    CHECK_TRUE(portal(i).optional);
    CHECK_EQUAL(5000, int{portal(i).portal.port});
  }
  CHECK_FALSE(id(0).v6_only);
  CHECK_TRUE(id(1).v6_only);  // or it would take IPv4's port as well
  CHECK_EQUAL(5000, int{ntohs(rdma_get_src_port(portal(0).id.get()))});
  CHECK_EQUAL(5000, int{ntohs(rdma_get_src_port(portal(2).id.get()))});
  CHECK_TRUE(portal(2).id->ps == RDMA_PS_IB);
}

TEST(ListenerPortal, constructor__listens_on_the_configured_ones_and_their_ports) {
  make({.portals = R"([ "10.0.0.1", "[::1]:77" ])", .more = "rdma_cm_port = 6000;"});
  CHECK_EQUAL(2U, count());
  CHECK_EQUAL(6000, int{ntohs(rdma_get_src_port(portal(0).id.get()))});
  CHECK_EQUAL(77, int{ntohs(rdma_get_src_port(portal(1).id.get()))});
  CHECK_FALSE(portal(0).optional);
  rig->log_in();
}

TEST(ListenerPortal, add_portal__that_is_there_is_none) {
  make();
  CHECK_FALSE(rig->listener().add_portal({"10.0.0.1", 0}));
  CHECK_FALSE(rig->listener().add_portal({"10.0.0.1", 5000}));
  CHECK_TRUE(rig->listener().add_portal({"10.0.0.1", 5001}));
  CHECK_TRUE(rig->listener().add_portal({"10.0.0.2", 0}));
  CHECK_EQUAL(3U, count());
  for (std::size_t i = 0; i < 3; ++i) CHECK_TRUE(listens(i));
}

TEST(ListenerPortal, add_portal__of_all_addresses_adds_what_is_missing) {
  make({.portals = R"([ "0.0.0.0" ])"});
  CHECK_TRUE(rig->listener().add_portal({"", 0}));
  CHECK_EQUAL(3U, count());
  CHECK_FALSE(rig->listener().add_portal({"", 0}));
}

TEST(ListenerPortal, remove_portal__by_address_and_port) {
  make({.portals = R"([ "10.0.0.1", "10.0.0.1:77", "10.0.0.2" ])"});
  CHECK_FALSE(rig->listener().remove_portal({"10.0.0.3", 5000}));
  CHECK_FALSE(rig->listener().remove_portal({"10.0.0.1", 78}));
  CHECK_TRUE(rig->listener().remove_portal({"10.0.0.1", 0}));
  CHECK_EQUAL(2U, count());
  CHECK_EQUAL(77, int{portal(0).portal.port});
  CHECK_TRUE(rig->world.cm->listener(5000) == rig->world.cm->ids.back().get());  // 10.0.0.2
}

TEST(ListenerPortal, remove_portal__of_all_addresses_leaves_those_that_were_named) {
  make({.portals = R"([ "*", "10.0.0.1:77" ])"});
  CHECK_EQUAL(4U, count());
  CHECK_FALSE(rig->listener().remove_portal({"", 77}));
  CHECK_TRUE(rig->listener().remove_portal({"", 0}));
  CHECK_EQUAL(1U, count());
  STRCMP_EQUAL("10.0.0.1", portal(0).portal.address.c_str());
}

// ---- trying again ----

TEST(ListenerPortal, activate__a_portal_that_cannot_listen_is_tried_every_second) {
  make();
  rig->world.faults.set(fake::Fault::listen, 1);
  std::string log = log_of([&] { rig->listener().add_portal({"10.0.0.9", 5000}); });
  CHECK_FALSE(listens(1));
  STRCMP_CONTAINS("portal 10.0.0.9:5000: rdma_", log.c_str());
  STRCMP_CONTAINS("tried again every second", log.c_str());
  CHECK_FALSE(portal(1).problem.empty());
  log = log_of([&] { rig->seconds(3); });
  CHECK_EQUAL(0U, occurrences(log, "10.0.0.9"));  // nothing new
  rig->world.faults.clear();
  log = log_of([&] { rig->seconds(1); });
  STRCMP_CONTAINS("listening on 10.0.0.9:5000", log.c_str());
  CHECK_TRUE(listens(1));
  CHECK_TRUE(portal(1).problem.empty());
}

TEST(ListenerPortal, activate__is_tried_once_a_second) {
  make();
  rig->world.faults.set(fake::Fault::listen, 1);
  rig->listener().add_portal({"10.0.0.9", 5000});
  rig->world.faults.clear();
  rig->tick(3);
  CHECK_FALSE(listens(1));
  rig->tick();
  CHECK_TRUE(listens(1));
}

TEST(ListenerPortal, activate__a_host_without_one_family_is_no_error) {
  rig = nullptr;
  make({.portals = R"([ "10.0.0.1:1" ])"});
  rig->world.faults.set(fake::Fault::listen, 1);
  const std::string log = log_of([&] { rig->listener().add_portal({"", 0}); });
  CHECK_EQUAL(0U, occurrences(log, "error:"));
  CHECK_FALSE(portal(1).problem.empty());
}

TEST(ListenerPortal, listen__what_is_no_numeric_address_has_a_problem) {
  make();
  CHECK_TRUE(rig->listener().add_portal({"localhost", 5000}));
  CHECK_FALSE(listens(1));
  CHECK_FALSE(portal(1).problem.empty());
  CHECK_EQUAL(1U, rig->world.cm->ids.size());
}

TEST(ListenerPortal, listen__an_address_in_use_is_said) {
  make({.portals = R"([ "0.0.0.0" ])"});
  rig->listener().add_portal({"10.0.0.1", 5000});
  STRCMP_CONTAINS("Address already in use", portal(1).problem.c_str());
}

TEST(ListenerPortal, activate__without_a_device_nothing_listens_until_there_is_one) {
  std::string log = log_of([&] { make({.device = false}); });
  STRCMP_CONTAINS("not listening: there is no RDMA device (yet); tried again every second",
                  log.c_str());
  STRCMP_EQUAL("there is no RDMA device (yet)", rig->listener().problem().c_str());
  CHECK_FALSE(listens());
  log = log_of([&] { rig->seconds(3); });
  CHECK_EQUAL(0U, occurrences(log, "not listening"));
  rig->world.fabric->add_hca();
  rig->seconds(1);
  STRCMP_EQUAL("", rig->listener().problem().c_str());
  CHECK_TRUE(listens());
  rig->log_in();
}

TEST(ListenerPortal, activate__tgtd_that_refuses_the_descriptor_is_asked_again) {
  make({.device = false});
  rig->world.fabric->add_hca();
  rig->world.faults.set(fake::Fault::watch, 1);
  rig->seconds(1);
  STRCMP_CONTAINS("tgt_event_add", rig->listener().problem().c_str());
  CHECK_TRUE(rig->world.cm->channels.empty());
  rig->world.faults.clear();
  rig->seconds(1);
  CHECK_TRUE(listens());
}

TEST(ListenerPortal, reachable__names_infiniband_ports_of_portals_that_take_their_logins) {
  make({.portals = R"([ "10.0.0.1", "ib:5001" ])"});
  CHECK_TRUE(rig->listener().reachable().empty());
  rig->hca().infiniband = true;
  const auto accesses = rig->listener().reachable();
  CHECK_EQUAL(1U, accesses.size());
  CHECK_TRUE((Portal{"ib", 5001}) == accesses[0].portal);
  CHECK_TRUE(accesses[0].path.by_gid());
  rig->listener().remove_portal({"ib", 5001});
  CHECK_TRUE(rig->listener().reachable().empty());
}

TEST(ListenerPortal, reachable__nothing_without_a_device_behind_an_address) {
  make({.portals = "[ ]"});
  const std::size_t ids = rig->world.cm->ids.size();
  CHECK_EQUAL(0U, rig->listener().reachable().size());
  CHECK_EQUAL(ids, rig->world.cm->ids.size());
  rig.reset();
  make({.device = false});
  CHECK_EQUAL(0U, rig->listener().reachable().size());
}

// ---- devices that go ----

TEST(ListenerPortal, on_device_removal__its_connections_end_and_it_is_closed) {
  make();
  Client& client = rig->log_in();
  rig->hand_in(client, rig->write(client, 1));
  remove(rig->hca());
  CHECK_EQUAL(0U, rig->listener().connections().size());
  CHECK_TRUE(rig->listener().devices().empty());
  CHECK_TRUE(rig->world.fabric->contexts.empty());
  CHECK_EQUAL(0U, rig->port().sessions().size());
  CHECK_EQUAL(0U, rig->commits());
}

TEST(ListenerPortal, on_device_removal__is_closed_when_tgtd_has_given_back_its_commands) {
  make();
  Client& client = rig->log_in();
  rig->lu().stalled = true;
  client.send(rig->write(client, 1));
  rig->run();
  remove(rig->hca());
  CHECK_EQUAL(1U, rig->listener().devices().size());
  CHECK_TRUE(rig->device().removed());
  CHECK_TRUE(rig->world.fabric->qps.empty());
  rig->lu().stalled = false;
  rig->run();
  rig->tick();
  CHECK_TRUE(rig->listener().devices().empty());
}

TEST(ListenerPortal, on_device_removal__other_devices_go_on) {
  make();
  Client& one = rig->log_in();
  rig->world.fabric->add_hca();
  Client& two = rig->log_in({.initiator = 2});
  CHECK_EQUAL(2U, rig->listener().devices().size());
  remove(rig->hca(0));
  CHECK_EQUAL(1U, rig->listener().devices().size());
  STRCMP_EQUAL("fake1", rig->device().name().c_str());
  CHECK_EQUAL(0U, rig->ask(two, {.tag = 1}).status());
  (void)one;
}

TEST(ListenerPortal, on_device_removal__of_a_portals_device_makes_it_listen_anew) {
  make();
  rig->world.cm->raise(id(), RDMA_CM_EVENT_DEVICE_REMOVAL);
  rig->run_loop();
  CHECK_FALSE(listens());
  STRCMP_EQUAL("its RDMA device was removed", portal().problem.c_str());
  rig->seconds(1);
  CHECK_TRUE(listens());
  rig->log_in();
}

TEST(ListenerPortal, on_device_removal__leaves_the_other_portals) {
  make({.portals = R"([ "10.0.0.1", "10.0.0.2" ])"});
  rig->world.cm->raise(id(1), RDMA_CM_EVENT_DEVICE_REMOVAL);
  rig->run_loop();
  CHECK_TRUE(listens(0));
  CHECK_FALSE(listens(1));
}

TEST(ListenerPortal, on_tick__a_device_that_reports_its_end_is_closed) {
  make();
  Client& client = rig->log_in();
  ibv_async_event event{};
  event.event_type = IBV_EVENT_DEVICE_FATAL;
  static_cast<fake::Context&>(rig->device().context()).events.push_back(event);
  rig->run();
  CHECK_FALSE(client.disconnected);
  rig->tick();
  CHECK_EQUAL(0U, rig->listener().connections().size());
  rig->tick();
  CHECK_TRUE(rig->listener().devices().empty());
}

TEST(ListenerPortal, on_queue_pair_error__ends_the_channel) {
  make();
  Client& client = rig->log_in();
  ibv_async_event event{};
  event.event_type = IBV_EVENT_QP_FATAL;
  event.element.qp = &Rig::qp(client);
  static_cast<fake::Context&>(rig->device().context()).events.push_back(event);
  const std::string log = log_of([&] { rig->run(); });
  STRCMP_CONTAINS("channel closed: asynchronous error of the queue pair", log.c_str());
  CHECK_EQUAL(0U, rig->listener().connections().size());
}

TEST(ListenerPortal, device_of__a_device_that_is_removed_serves_no_new_login) {
  make();
  rig->log_in();
  rig->device().mark_removed();
  rig->log_in({.initiator = 2});
  CHECK_EQUAL(2U, rig->listener().devices().size());
}
