// Connection requests: who is let in, with what, and what happens to the sessions that were there.
#include "lld_srp/listener.h"

#include <cstring>

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr auto single = wire::MultiChannelAction::single;
constexpr auto multi = wire::MultiChannelAction::multi;
constexpr unsigned no_channel = 0;
constexpr unsigned terminated = 1;
constexpr unsigned maintained = 2;

}  // namespace

TEST_GROUP(Listener) {
  std::unique_ptr<Rig> rig;

  void make(const RigOptions& options = {}) { rig = std::make_unique<Rig>(options); }
  void teardown() override { rig.reset(); }

  std::size_t connections() { return rig->listener().connections().size(); }
  static Bytes bytes_of(const wire::LoginReqRdma& request) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&request);
    return {raw, raw + sizeof request};
  }
  // Refused with this reason, without anything left behind; the log.
  std::string check_refused(const Bytes& request, std::uint32_t reason,
                            const LoginOptions& options = {}) {
    Client& client = rig->connect_with(request, options);
    const std::size_t before = connections();
    std::string log = log_of([&] { rig->run(); });
    CHECK_EQUAL(reason, std::uint32_t{client.login_rej.value().reason});
    CHECK_EQUAL(28, client.reject_reason);
    CHECK_EQUAL(before, connections());
    return log;
  }
  static unsigned result_of(const Client& client) { return client.login_rsp->flags; }
};

// ---- refused ----

TEST(Listener, on_connect_request__request_that_is_too_short_is_refused) {
  make();
  const Bytes whole = bytes_of(rig->login_request({}));
  for (const std::size_t bytes : {0U, 7U, 8U, 55U}) {
    const std::string log =
        check_refused({whole.begin(), whole.begin() + static_cast<long>(bytes)}, 0x00010000);
    STRCMP_CONTAINS("login refused:", log.c_str());
    STRCMP_CONTAINS("from 10.0.1.1, reason 0x00010000: login request shorter than 56 bytes",
                    log.c_str());
  }
}

TEST(Listener, on_connect_request__by_gid_has_the_form_of_infiniband) {
  make({.portals = R"([ "10.0.0.1", "ib" ])"});
  Client& client = rig->connect({.by_gid = true});
  const std::string log = log_of([&] { rig->run(); });
  CHECK_TRUE(client.up);
  STRCMP_CONTAINS("from fe80::2:c903:0:101 at fe80::2:c903:0:1 (", log.c_str());
  CHECK_EQUAL(0xffff, Rig::connection(client).path().pkey);
  const Bytes other_form = bytes_of(rig->login_request({}));
  Client& refused = rig->connect_with(other_form, {.initiator = 2, .by_gid = true});
  STRCMP_CONTAINS("from fe80::2:c903:0:102, reason 0x00010000: login request shorter than 64 bytes",
                  log_of([&] { rig->run(); }).c_str());
  CHECK_TRUE(refused.login_rej.has_value());
}

TEST(Listener, on_connect_request__by_gid_is_known_by_its_gid) {
  make({.portals = R"([ "ib" ])"});
  rig->target().addresses = {"fe80:0000:0000:0000:0002:c903:0000:0102"};
  Client& stranger = rig->connect({.by_gid = true});
  Client& known = rig->connect({.initiator = 2, .by_gid = true});
  rig->run();
  CHECK_FALSE(stranger.up);
  CHECK_TRUE(known.up);
}

TEST(Listener, log_in__multi_by_gid_joins_no_session_by_address) {
  make({.portals = R"([ "10.0.0.1", "ib" ])"});
  Client& first = rig->log_in();
  Client& second = rig->connect({.action = multi, .by_gid = true});
  STRCMP_CONTAINS("its session is another host's", log_of([&] { rig->run(); }).c_str());
  CHECK_FALSE(second.up);
  CHECK_TRUE(first.up);
}

TEST(Listener, on_connect_request__reject_carries_the_tag_of_the_request) {
  make();
  wire::LoginReqRdma request = rig->login_request({});
  request.opcode = 0x55;
  Client& client = rig->connect_with(bytes_of(request));
  rig->run();
  CHECK_TRUE(client.login_rej.value().tag == request.tag);
}

TEST(Listener, on_connect_request__unknown_target_port_is_refused) {
  make();
  wire::LoginReqRdma request = rig->login_request({});
  request.target_port[3] ^= 1;
  const std::string log = check_refused(bytes_of(request), 0x00010003);
  STRCMP_CONTAINS("no target has this id_ext and ioc_guid", log.c_str());
}

TEST(Listener, on_connect_request__target_that_tgtd_has_dropped_is_unknown) {
  make();
  const Bytes request = bytes_of(rig->login_request({}));
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, false));
  check_refused(request, 0x00010003);
}

TEST(Listener, on_connect_request__iu_longer_than_configured_is_refused) {
  make();
  wire::LoginReqRdma request = rig->login_request({});
  request.max_iu_bytes = std::uint32_t{1025};
  STRCMP_CONTAINS("raise srp_max_req_size", check_refused(bytes_of(request), 0x00010002).c_str());
}

TEST(Listener, on_connect_request__initiator_that_no_acl_admits_is_refused) {
  make();
  rig->target().addresses = {"192.0.2.1"};
  check_refused(bytes_of(rig->login_request({})), 0x00010003);
  rig->target().addresses = {"10.0.1.1"};  // its address
  rig->log_in();
}

TEST(Listener, on_connect_request__initiator_is_known_by_its_port_identifier) {
  make();
  rig->target().names = {"00000000000000000000000000000002"};
  check_refused(bytes_of(rig->login_request({})), 0x00010003);
  rig->log_in({.initiator = 2});
}

TEST(Listener, on_connect_request__initiator_is_known_by_its_gid) {
  make();
  rig->target().addresses = {"fe80::1234"};
  check_refused(bytes_of(rig->login_request({})), 0x00010003);
  Client& client = rig->connect();
  rig->run_cm();  // the request has arrived
  std::uint8_t* gid = client.connection->id->route.addr.addr.ibaddr.dgid.raw;
  gid[0] = 0xfe;
  gid[1] = 0x80;
  gid[14] = 0x12;
  gid[15] = 0x34;
  rig->run();
  CHECK_TRUE(client.login_rsp.has_value());
}

TEST(Listener, on_connect_request__beyond_logins_max_is_refused_until_others_are_done) {
  make({.more = "logins_max = 1;"});
  Client& first = rig->log_in({.confirms = false});
  CHECK_TRUE(first.login_rsp.has_value());
  const std::string log = check_refused(bytes_of(rig->login_request({.initiator = 2})), 0x00010001);
  STRCMP_CONTAINS("logins_max are under way", log.c_str());
  first.connection->send(fake::CmMessage::rtu);
  rig->run();
  CHECK_TRUE(rig->log_in({.initiator = 2}).login_rsp.has_value());
}

TEST(Listener, on_connect_request__an_address_gets_half_of_what_others_leave_of_logins_max) {
  make({.more = "logins_max = 6; channels_max = 6;"});
  const LoginOptions pending{.action = multi, .confirms = false};
  const LoginOptions other{.action = multi, .initiator = 2, .confirms = false};
  // An identifier can be chosen, so it counts for nothing.
  const auto check_no_more = [&](const LoginOptions& options) {
    wire::LoginReqRdma request = rig->login_request(options);
    request.initiator_port[0] ^= 0xff;
    const std::string log = check_refused(bytes_of(request), 0x00010001, options);
    STRCMP_CONTAINS("its address has as many under way as logins_max leaves to others",
                    log.c_str());
  };
  for (int i = 0; i < 3; ++i) rig->log_in(pending);
  check_no_more(pending);
  rig->log_in(other);
  Client& last = rig->log_in(other);
  check_no_more(other);
  last.connection->send(fake::CmMessage::rtu);
  rig->run();
  rig->log_in(other);
  check_no_more(other);
}

TEST(Listener, on_connect_request__of_an_odd_logins_max_an_address_gets_the_larger_half) {
  make({.more = "logins_max = 3; channels_max = 3;"});
  const LoginOptions pending{.action = multi, .confirms = false};
  rig->log_in(pending);
  rig->log_in(pending);
  check_refused(bytes_of(rig->login_request(pending)), 0x00010001, pending);
}

TEST(Listener, refuse__has_a_line_for_each_until_they_are_many) {
  make();
  rig->target().addresses.clear();
  const std::string log = log_of([&] {
    for (int i = 0; i < 15; ++i) rig->connect_with(bytes_of(rig->login_request({})));
    rig->run();
    for (int i = 0; i < ticks_per_second; ++i) rig->world.tgtd->tick();
  });
  CHECK_EQUAL(10U, occurrences(log, "no ACL admits it"));
  STRCMP_CONTAINS("login refused: 5 more in this second", log.c_str());
}

TEST(Listener, log_in__hands_reservations_to_the_new_session) {
  make();
  rig->log_in();
  Session& old = *rig->port().sessions()[0];
  tgt::registration registered{};
  registered.nexus_id = old.stamp().id;
  registered.ctime = old.stamp().created;
  fake::list_add_tail(registered.registration_siblings, rig->lu().registration_list);
  rig->log_in();
  rig->run();
  CHECK_EQUAL(1U, rig->port().sessions().size());
  CHECK_EQUAL(rig->port().sessions()[0]->stamp().id, registered.nexus_id);
  fake::list_del(registered.registration_siblings);
}

TEST(Listener, on_connect_request__without_memory_for_a_device_is_refused) {
  make();
  rig->world.faults.set(fake::Fault::reg_mr, 1);
  check_refused(bytes_of(rig->login_request({})), 0x00010001);
  rig->world.faults.clear();
  CHECK_TRUE(rig->listener().devices().empty());
  rig->log_in();
}

TEST(Listener, on_connect_request__nexus_that_tgtd_refuses_is_a_login_refused) {
  make();
  rig->log_in({.initiator = 2});  // the device is there
  // As if tgtd had the next one already.
  rig->world.tgtd->create_nexus(1, 2, rig->target().nexuses.front()->info);
  STRCMP_CONTAINS("to target 1 failed: it_nexus_create",
                  check_refused(bytes_of(rig->login_request({})), 0x00010001).c_str());
  CHECK_EQUAL(1U, rig->port().sessions().size());
  rig->log_in();
  rig->world.tgtd->destroy_nexus(1, 2);
}

TEST(Listener, refuse__a_reject_that_fails_changes_nothing) {
  make();
  rig->world.faults.set(fake::Fault::reject, 1);
  Client& client = rig->connect_with({});
  rig->run();
  CHECK_EQUAL(28, client.reject_reason);  // by destroying the id
  CHECK_FALSE(client.login_rej.has_value());
  CHECK_EQUAL(0U, connections());
}

// ---- accepted ----

TEST(Listener, log_in__response_says_what_is_configured) {
  make();
  Client& client = rig->log_in();
  const wire::LoginRsp& rsp = *client.login_rsp;
  CHECK_EQUAL(0xc0U, unsigned{rsp.opcode});
  CHECK_EQUAL(4U, std::uint32_t{rsp.request_limit_delta});
  CHECK_EQUAL(1024U, std::uint32_t{rsp.max_iu_bytes});
  CHECK_EQUAL(320U, std::uint32_t{rsp.max_target_iu_bytes});
  CHECK_EQUAL(0x0006U, unsigned{std::uint16_t{rsp.supported_formats}});
  CHECK_EQUAL(no_channel, result_of(client));
  CHECK_TRUE(rsp.tag == rig->login_request({}).tag);
}

TEST(Listener, log_in__log_names_who_where_and_what) {
  make();
  rig->connect();
  const std::string log = log_of([&] { rig->run(); });
  STRCMP_CONTAINS(
      "login of 0x00000000000000000000000000000001 from 10.0.1.1:40001 at 10.0.0.1 (fake0) to "
      "target 1 iqn.2024-01.org.example:disk: session 1, channel 1, QP 0x",
      log.c_str());
}

TEST(Listener, log_in__read_depth_is_what_both_sides_can) {
  make();
  CHECK_EQUAL(4U, Rig::qp(rig->log_in({.read_depth = 4})).read_depth);
  CHECK_EQUAL(16U, Rig::qp(rig->log_in({.read_depth = 255, .initiator = 2})).read_depth);
}

TEST(Listener, log_in__of_an_initiator_that_offers_no_read_one_is_asked_for) {
  make();
  Client& client = rig->log_in({.read_depth = 0});
  CHECK_EQUAL(1U, Rig::qp(client).read_depth);
  CHECK_EQUAL(0U, rig->ask(client, rig->write(client, 1)).status());
}

TEST(Listener, log_in__devices_are_opened_once) {
  make();
  rig->log_in();
  rig->log_in({.initiator = 2});
  CHECK_EQUAL(1U, rig->listener().devices().size());
  CHECK_EQUAL(2U, rig->device().channels());
  rig->world.fabric->add_hca();
  rig->log_in({.initiator = 3});
  CHECK_EQUAL(2U, rig->listener().devices().size());
}

TEST(Listener, log_in__multi_joins_the_session_and_maintains_its_channels) {
  make();
  Client& one = rig->log_in({.action = multi});
  CHECK_EQUAL(no_channel, result_of(one));
  Client& two = rig->log_in({.action = multi});
  CHECK_EQUAL(maintained, result_of(two));
  CHECK_TRUE(&Rig::session(one) == &Rig::session(two));
  CHECK_EQUAL(2U, Rig::session(one).channels().size());
  CHECK_EQUAL(0U, rig->ask(one, {.tag = 1}).status());
}

TEST(Listener, log_in__multi_of_another_initiator_is_a_session_of_its_own) {
  make();
  Client& one = rig->log_in();
  Client& two = rig->log_in({.action = multi, .initiator = 2});
  CHECK_EQUAL(no_channel, result_of(two));
  CHECK_FALSE(&Rig::session(one) == &Rig::session(two));
}

TEST(Listener, log_in__to_another_target_leaves_the_first_alone) {
  make();
  rig->make_target(2, "iqn.2024-01.org.example:other");
  Client& one = rig->log_in();
  Client& two = rig->log_in({.action = single, .tid = 2});
  CHECK_EQUAL(no_channel, result_of(two));
  CHECK_EQUAL(0U, rig->ask(one, {.tag = 1}).status());
}

TEST(Listener, log_in__single_ends_the_channels_that_were_there) {
  make();
  Client& one = rig->log_in();
  Client& two = rig->log_in({.action = multi});
  Client& next = rig->log_in();
  CHECK_EQUAL(terminated, result_of(next));
  rig->run();
  CHECK_TRUE(one.disconnected);
  CHECK_TRUE(two.disconnected);
  CHECK_EQUAL(1U, connections());
  CHECK_EQUAL(1U, rig->port().sessions().size());
  CHECK_EQUAL(0U, rig->ask(next, {.tag = 1}).status());
}

TEST(Listener, log_in__single_relogin_fences_the_old_write) {
  make();
  Client& old = rig->log_in();
  rig->lu().stalled = true;
  old.send(rig->write(old, 1));
  rig->run();
  Client& next = rig->log_in();
  next.send(rig->write(next, 2));
  next.send(rig->write(next, 3, 0, 1, 2));  // another unit
  rig->run();
  CHECK_EQUAL(0U, next.answer_to(3).status());
  CHECK_FALSE(next.answered(2));
  CHECK_EQUAL(1U, rig->world.tgtd->held());
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(0U, next.answer_to(2).status());
  MEMCMP_EQUAL(rig->lu().content.data(), next.bytes_of({0, 0x100, 512}).data(), 512);
  CHECK_EQUAL(3U, rig->commits());
  CHECK_EQUAL(1U, rig->port().sessions().size());
}

TEST(Listener, log_in__single_that_fails_for_want_of_resources_leaves_the_old_session) {
  make();
  Client& old = rig->log_in();
  for (const auto fault : {fake::Fault::reg_mr, fake::Fault::create, fake::Fault::modify_qp}) {
    rig->world.faults.set(fault, 1);
    check_refused(bytes_of(rig->login_request({})), 0x00010001);
    rig->world.faults.clear();
    CHECK_EQUAL(0U, rig->ask(old, {.tag = 1}).status());
  }
}

TEST(Listener, log_in__single_that_fails_at_the_last_moment_leaves_the_old_session) {
  make();
  Client& old = rig->log_in();
  rig->world.faults.set(fake::Fault::accept, 1);
  check_refused(bytes_of(rig->login_request({})), 0x00010001);
  rig->world.faults.clear();
  CHECK_EQUAL(0U, rig->ask(old, {.tag = 1}).status());
  CHECK_EQUAL(1U, rig->port().sessions().size());
}

TEST(Listener, log_in__channels_and_sessions_have_limits) {
  make({.more = "channels_max = 2; sessions_max = 2;"});
  rig->log_in();
  rig->log_in({.action = multi});
  check_refused(bytes_of(rig->login_request({.action = multi})), 0x00010006);
  rig->log_in({.initiator = 2});
  check_refused(bytes_of(rig->login_request({.initiator = 3})), 0x00010001);
  CHECK_EQUAL(3U, connections());
}

// ---- events ----

TEST(Listener, on_readable__so_many_logins_at_once_and_the_others_in_the_next_round) {
  make();
  for (int i = 0; i < cm_event_budget + 3; ++i) rig->connect_with({});
  rig->run_cm();
  auto& events = rig->world.cm->channels.front()->events;
  CHECK_EQUAL(static_cast<std::size_t>(cm_event_budget) + 3, events.size());
  while (events.size() == static_cast<std::size_t>(cm_event_budget) + 3) rig->world.tgtd->turn();
  CHECK_EQUAL(3U, events.size());
  rig->run();
  for (const auto& client : rig->clients) CHECK_TRUE(client->login_rej.has_value());
}

TEST(Listener, handle__each_event_that_ends_a_connection) {
  const struct {
    rdma_cm_event_type type;
    const char* why;
  } rows[] = {{RDMA_CM_EVENT_DISCONNECTED, "the initiator disconnected"},
              {RDMA_CM_EVENT_TIMEWAIT_EXIT, "the connection has ended"},
              {RDMA_CM_EVENT_CONNECT_ERROR, "the initiator gave up its login"},
              {RDMA_CM_EVENT_UNREACHABLE, "the initiator gave up its login"},
              {RDMA_CM_EVENT_REJECTED, "the initiator gave up its login"},
              {RDMA_CM_EVENT_DEVICE_REMOVAL, "the RDMA device was removed"}};
  for (const auto& row : rows) {
    make();
    Client& client = rig->log_in();
    Channel& channel = Rig::channel(client);
    rig->world.cm->raise(*client.connection->id, row.type);
    const std::string log = log_of([&] { rig->run_loop(); });
    STRCMP_CONTAINS(row.why, log.c_str());
    CHECK_EQUAL(0U, connections());
    (void)channel;
    rig.reset();
  }
}

TEST(Listener, handle__other_events_change_nothing) {
  make();
  Client& client = rig->log_in();
  for (const auto type : {RDMA_CM_EVENT_ADDR_CHANGE, RDMA_CM_EVENT_ESTABLISHED}) {
    rig->world.cm->raise(*client.connection->id, type);
    rig->run();
  }
  CHECK_EQUAL(0U, rig->ask(client, {.tag = 1}).status());
}

TEST(Listener, handle__events_of_a_listening_identifier_change_nothing) {
  make();
  Client& client = rig->log_in();
  rig->world.cm->raise(*rig->world.cm->listener(5000), RDMA_CM_EVENT_ADDR_CHANGE);
  rig->run();
  CHECK_EQUAL(0U, rig->ask(client, {.tag = 1}).status());
}

TEST(Listener, handle__a_request_that_its_initiator_took_back_leaves_nothing) {
  make();
  Client& client = rig->connect();
  rig->run_cm();
  client.connection->id->state = fake::CmId::State::closed;
  rig->run();
  CHECK_EQUAL(0U, connections());
  CHECK_EQUAL(0U, rig->port().sessions().size());
}
