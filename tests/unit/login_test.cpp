// Who may log in where: each refusal with its reason, and which comes first.
#include "lld_srp/login.h"

#include <netinet/in.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/harness.h"
#include "tests/unit/observe.h"
#include "tests/unit/tgtd_fixture.h"

using srp::LoginVerdict;
using Reason = srp::wire::LoginRejReason;
using srp::wire::MultiChannelAction;

namespace {

// Room for a channel that is counted, and that nobody looks into.
struct ChannelPlace {
  alignas(srp::Channel) std::uint8_t bytes[sizeof(srp::Channel)];
  srp::Channel& channel() { return *reinterpret_cast<srp::Channel*>(bytes); }
};

}  // namespace

TEST_GROUP_BASE(Login, srp::test::TgtdTest) {
  srp::Settings settings;
  srp::EventLoop loop;
  srp::fake::Target& target = tgtd.create_target(1, "iqn.one");
  srp::TargetPorts ports{settings, loop};
  srp::LoginRequest request{};
  srp::InitiatorIdentity initiator{};
  srp::Path path{};
  ChannelPlace places[3];

  void setup() override {
    ports.add(target);
    target.addresses = {"ALL"};
    request.max_iu_bytes = 8260;
    request.target_port = ports.find(1)->id();
    initiator.port_id = {1, 2, 3};
    request.initiator_port = initiator.port_id;
    settings.sessions_max = 2;
    settings.channels_max = 2;
  }

  void teardown() override {
    for (const auto& port : ports.all()) port->close_sessions("the test is over");
    ports.reap();
    settle();
  }

  LoginVerdict judge() { return srp::judge_login(request, initiator, path, ports, settings); }

  void check_accepted() {
    const LoginVerdict verdict = judge();
    POINTERS_EQUAL(ports.find(1), verdict.port);
    CHECK(verdict.why.empty());
  }

  void check_refused(Reason reason, const char* why) {
    const LoginVerdict verdict = judge();
    POINTERS_EQUAL(nullptr, verdict.port);
    CHECK_EQUAL(static_cast<unsigned>(reason), static_cast<unsigned>(verdict.reason));
    STRCMP_CONTAINS(why, verdict.why.c_str());
  }

  srp::Session& log_in(const srp::InitiatorIdentity& who, std::size_t channels = 0) {
    srp::Session& session = ports.add_session(*ports.find(1), who);
    for (std::size_t i = 0; i < channels; ++i) session.attach(places[i].channel());
    return session;
  }

  void log_out(srp::Session & session, std::size_t channels) {
    for (std::size_t i = 0; i < channels; ++i) session.detach(places[i].channel());
  }
};

TEST(Login, is_accepted_where_an_acl_admits_it) { check_accepted(); }

TEST(Login, is_refused_while_tgtd_is_offline) {
  tgtd.set_system_available(false);
  check_refused(Reason::insufficient_resources, "tgtd is offline");
}

TEST(Login, is_refused_while_the_target_is_offline) {
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_OFFLINE);
  check_refused(Reason::insufficient_resources, "target 1 iqn.one is offline");
}

TEST(Login, is_refused_where_the_target_has_gone_behind_our_back) {
  CHECK(tgtd.delete_target(target, true, false));
  check_refused(Reason::unable_to_associate, "target 1 iqn.one: no ACL admits it");
}

TEST(Login, is_refused_with_ius_longer_than_the_setting) {
  request.max_iu_bytes = settings.srp_max_req_size;
  check_accepted();
  request.max_iu_bytes = settings.srp_max_req_size + 1;
  check_refused(Reason::iu_too_large, "8277 bytes: raise srp_max_req_size");
  request.max_iu_bytes = 0xffffffff;
  check_refused(Reason::iu_too_large, "4294967295 bytes");
}

TEST(Login, is_refused_at_any_other_target_port) {
  const srp::PortId right = request.target_port;
  for (std::size_t i = 0; i < right.size(); ++i) {
    request.target_port = right;
    request.target_port[i] ^= 1;
    check_refused(Reason::unable_to_associate, "no target has this id_ext and ioc_guid");
  }
  request.target_port = right;
  std::rotate(request.target_port.begin(), request.target_port.begin() + 8,
              request.target_port.end());
  check_refused(Reason::unable_to_associate, "no target");
}

TEST(Login, is_refused_where_no_acl_admits_it) {
  target.addresses.clear();
  check_refused(Reason::unable_to_associate, "target 1 iqn.one: no ACL admits it");
  target.addresses = {"10.0.0.1"};
  check_refused(Reason::unable_to_associate, "no ACL");
  target.addresses = {"ALL"};
  target.names = {"0000000000000001"};
  check_refused(Reason::unable_to_associate, "no ACL");
}

TEST(Login, looks_at_every_entry_of_both_lists) {
  target.addresses = {"10.0.0.1", "10.0.0.2", "ALL"};
  check_accepted();
  target.addresses.clear();
  target.names = {"nobody", "0x01020300000000000000000000000000"};
  check_accepted();
}

TEST(Login, joins_a_session_up_to_its_number_of_channels) {
  srp::Session& session = log_in(initiator, 1);
  request.action = MultiChannelAction::multi;
  check_accepted();
  session.attach(places[1].channel());
  check_refused(Reason::channel_limit_reached, "channels_max = 2");
  request.action = MultiChannelAction::single;  // a new session
  check_accepted();
  log_out(session, 2);
}

TEST(Login, may_ask_to_join_where_there_is_no_session) {
  request.action = MultiChannelAction::multi;
  check_accepted();
}

TEST(Login, is_refused_beyond_the_number_of_sessions) {
  srp::InitiatorIdentity others[2];
  others[0].port_id = {7};
  others[1].port_id = {8};
  log_in(others[0]);
  check_accepted();
  log_in(others[1]);
  check_refused(Reason::insufficient_resources, "sessions_max = 2");
  request.action = MultiChannelAction::multi;
  check_refused(Reason::insufficient_resources, "sessions_max = 2");
}

TEST(Login, of_an_initiator_that_has_a_session_is_not_one_more) {
  log_in(initiator);
  srp::InitiatorIdentity other;
  other.port_id = {7};
  log_in(other);
  check_accepted();
  request.action = MultiChannelAction::multi;
  check_accepted();
}

TEST(Login, sessions_that_drain_count_and_cannot_be_joined) {
  srp::Session& old = log_in(initiator, 2);
  log_out(old, 2);
  CHECK(old.draining());
  request.action = MultiChannelAction::multi;
  check_accepted();  // as a session of its own, whatever the old one had
  srp::InitiatorIdentity other;
  other.port_id = {7};
  log_in(other);
  check_refused(Reason::insufficient_resources, "sessions_max = 2");
}

TEST(Login, of_an_initiator_whose_old_sessions_drain_cannot_make_ever_more) {
  for (int i = 0; i < 2; ++i) {
    srp::Session& old = log_in(initiator, 1);
    log_out(old, 1);
  }
  log_in(initiator);
  check_refused(Reason::insufficient_resources, "sessions_max = 2");
  request.action = MultiChannelAction::multi;
  check_accepted();  // in the session that lives
}

TEST(Login, sessions_of_all_targets_count) {
  srp::fake::Target& second = tgtd.create_target(2, "iqn.two");
  ports.add(second);
  srp::InitiatorIdentity other;
  other.port_id = {7};
  ports.add_session(*ports.find(2), other);
  ports.add_session(*ports.find(2), initiator);
  check_refused(Reason::insufficient_resources, "sessions_max = 2");
}

TEST(Login, the_first_thing_that_is_wrong_is_told) {
  // Everything is wrong; then it is mended from the front.
  const srp::PortId right = request.target_port;
  tgtd.set_system_available(false);
  request.max_iu_bytes = 0xffffffff;
  request.target_port = {};
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_OFFLINE);
  target.addresses.clear();
  settings.sessions_max = 0;
  check_refused(Reason::insufficient_resources, "tgtd is offline");
  tgtd.set_system_available(true);
  check_refused(Reason::iu_too_large, "srp_max_req_size");
  request.max_iu_bytes = 64;
  check_refused(Reason::unable_to_associate, "no target has");
  request.target_port = right;
  check_refused(Reason::unable_to_associate, "no ACL");
  target.addresses = {"ALL"};
  check_refused(Reason::insufficient_resources, "is offline");
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_READY);
  check_refused(Reason::insufficient_resources, "sessions_max = 0");
  settings.sessions_max = 1;
  check_accepted();
}

// ---- several targets behind one port ----

TEST_GROUP_BASE(SharedPort, srp::test::TgtdTest) {
  srp::Settings settings;
  srp::EventLoop loop;
  srp::fake::Target& everyones = tgtd.create_target(1, "iqn.default");
  srp::fake::Target& group = tgtd.create_target(2, "iqn.group");
  srp::fake::Target& own = tgtd.create_target(3, "iqn.own");
  std::optional<srp::TargetPorts> ports;
  srp::LoginRequest request{};
  srp::InitiatorIdentity initiator{};
  srp::Path path{};
  ChannelPlace place;

  void setup() override {
    for (const char* name : {"iqn.default", "iqn.group", "iqn.own"}) {
      settings.targets.push_back({name, 1, 2, {}});
    }
    ports.emplace(settings, loop);
    for (const auto& target : tgtd.targets) ports->add(*target);
    everyones.addresses = {"ALL"};
    group.addresses = {"0x01*"};
    own.addresses = {"0x01020300000000000000000000000000"};
    request.target_port = ports->find(1)->id();
    initiator.port_id = {1, 2, 3};
  }

  void teardown() override {
    for (const auto& port : ports->all()) port->close_sessions("the test is over");
    ports->reap();
    settle();
  }

  LoginVerdict judge() { return srp::judge_login(request, initiator, path, *ports, settings); }

  void check_refused(const char* why) {
    const LoginVerdict verdict = judge();
    POINTERS_EQUAL(nullptr, verdict.port);
    STRCMP_CONTAINS(why, verdict.why.c_str());
  }

  void check_sees(int tid) {
    const LoginVerdict verdict = judge();
    CHECK_TRUE_TEXT(verdict.port != nullptr, verdict.why.c_str());
    CHECK_EQUAL(tid, verdict.port->tid());
  }
};

TEST(SharedPort, an_initiator_sees_the_target_that_names_it_most_exactly) {
  check_sees(3);
  initiator.port_id = {1, 9};
  check_sees(2);
  initiator.port_id = {9};
  check_sees(1);
  everyones.addresses.clear();
  const LoginVerdict verdict = judge();
  POINTERS_EQUAL(nullptr, verdict.port);
  STRCMP_CONTAINS("target 1 iqn.default, target 2 iqn.group, target 3 iqn.own: no ACL admits it",
                  verdict.why.c_str());
}

TEST(SharedPort, an_initiator_sees_no_other_target_while_its_own_is_offline) {
  tgtd.set_target_state(own, srp::tgt::SCSI_TARGET_OFFLINE);
  const LoginVerdict verdict = judge();
  POINTERS_EQUAL(nullptr, verdict.port);
  STRCMP_CONTAINS("target 3 iqn.own is offline", verdict.why.c_str());
}

TEST(SharedPort, an_initiator_that_two_name_alike_sees_neither) {
  group.addresses = own.addresses;
  check_refused("target 2 iqn.group and target 3 iqn.own admit it alike");
  everyones.addresses = own.addresses;
  check_refused("admit it alike");
}

TEST(SharedPort, a_channel_joins_no_session_of_another_host) {
  initiator.address.ss_family = AF_INET;
  reinterpret_cast<sockaddr_in&>(initiator.address).sin_addr.s_addr = 1;
  srp::Session& session = ports->add_session(*ports->find(3), initiator);
  session.attach(place.channel());
  request.action = MultiChannelAction::multi;
  check_sees(3);
  reinterpret_cast<sockaddr_in&>(initiator.address).sin_addr.s_addr = 2;
  check_refused("its session is another host's, at target 3 iqn.own");
  session.detach(place.channel());
}

TEST(SharedPort, an_initiator_keeps_its_target_for_a_while) {
  ports->add_session(*ports->find(3), initiator).close("test");
  ports->reap();
  own.addresses.clear();
  check_refused("target 2 iqn.group: it has had iqn.own through the same port");
  for (unsigned i = 0; i < settings.regroup_s * srp::ticks_per_second; ++i) ports->on_tick();
  check_refused("it has had iqn.own");
  ports->on_tick();
  check_sees(2);
}

TEST(SharedPort, an_initiator_is_kept_from_other_targets_only_if_that_is_wanted) {
  ports->add_session(*ports->find(3), initiator);
  own.addresses.clear();
  check_refused("it has had iqn.own");
  settings.regroup_s = 0;
  check_sees(2);
}

TEST(SharedPort, a_session_that_goes_on_is_kept_in_mind) {
  srp::Session& session = ports->add_session(*ports->find(3), initiator);
  for (unsigned i = 0; i < 2 * settings.regroup_s * srp::ticks_per_second; ++i) ports->on_tick();
  session.close("test");
  ports->reap();
  own.addresses.clear();
  check_refused("it has had iqn.own");
}

TEST(SharedPort, a_channel_joins_the_session_wherever_it_is) {
  srp::Session& session = ports->add_session(*ports->find(3), initiator);
  session.attach(place.channel());
  request.action = MultiChannelAction::multi;
  const LoginVerdict verdict = judge();
  POINTERS_EQUAL(ports->find(3), verdict.port);
  POINTERS_EQUAL(&session, verdict.session);
  own.addresses = {"ALL"};  // by now the group would be chosen: two targets in one session
  check_refused("its session is at target 3 iqn.own");
  own.addresses.clear();
  check_refused("its session is at target 3 iqn.own");
  session.detach(place.channel());
}

TEST(SharedPort, a_new_session_replaces_the_one_at_another_target) {
  srp::Session& session = ports->add_session(*ports->find(3), initiator);
  own.addresses.clear();
  settings.regroup_s = 0;
  const LoginVerdict verdict = judge();
  POINTERS_EQUAL(ports->find(2), verdict.port);
  POINTERS_EQUAL(&session, verdict.session);
}

TEST(SharedPort, a_target_may_be_reached_in_its_partitions_only) {
  settings.targets[2].pkeys = {0x8001, 0x0002};
  ports->add(own);                        // a target's settings are those of when it was made
  check_refused("its partition 0x0000");  // iWARP has none
  for (const int pkey : {0x8001, 0x0001, 0x8002}) {
    path.pkey = static_cast<std::uint16_t>(pkey);
    check_sees(3);
  }
  path.pkey = 0xffff;
  const LoginVerdict verdict = judge();
  POINTERS_EQUAL(nullptr, verdict.port);
  STRCMP_CONTAINS("target 3 iqn.own: its partition 0xffff is none of", verdict.why.c_str());
  initiator.port_id = {9};
  check_sees(1);
}
