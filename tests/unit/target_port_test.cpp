// Target ports in line with tgtd's targets, their identifiers, and their sessions.
#include "lld_srp/target_port.h"

#include <optional>
#include <string>

#include "tests/unit/harness.h"
#include "tests/unit/observe.h"
#include "tests/unit/tgtd_fixture.h"

using srp::hex64;
using srp::InitiatorIdentity;
using srp::PortId;
using srp::Session;
using srp::TargetPort;
using srp::TargetPorts;
using srp::TaskSet;

namespace {

// FNV-1a of "foobar", from the algorithm's own test vectors.
constexpr std::uint64_t hash_of_foobar = 0x85944171f73967e8;

// A command of a session, with nothing behind it.
struct Command : TaskSet::Entry {
  explicit Command(srp::LunNumber unit) : Entry(owner) { lun = unit; }
  static void on_abort(Entry&) noexcept {}
  static void on_proceed(Entry& entry) noexcept { ++static_cast<Command&>(entry).proceeds; }
  static constexpr Owner owner{on_abort, on_proceed};
  int proceeds = 0;
};

struct Task : Session::PendingTask {
  explicit Task(std::uint64_t number) : PendingTask(owner) { id = number; }
  static Task& of(PendingTask& task) { return static_cast<Task&>(task); }
  static void on_reconsider(PendingTask&) noexcept {}
  static void on_managed(PendingTask& task, int result) noexcept { of(task).result = result; }
  static void on_expired(PendingTask& task) noexcept { ++of(task).expirations; }
  static constexpr Owner owner{on_reconsider, on_managed, on_expired};
  int result = 1;
  int expirations = 0;
};

InitiatorIdentity initiator(std::uint8_t number) {
  InitiatorIdentity identity{};
  identity.port_id[15] = number;
  return identity;
}

}  // namespace

TEST_GROUP_BASE(TargetPorts, srp::test::TgtdTest) {
  srp::Settings settings;
  srp::EventLoop loop;
  std::optional<TargetPorts> ports;
  srp::fake::Target& target = tgtd.create_target(1, "foobar");

  void setup() override {
    settings.srpt_service_guid = 0x0002c90300a34270;
    ports.emplace(settings, loop);
    ports->add(target);
  }

  void teardown() override {
    for (const auto& port : ports->all()) port->close_sessions("the test is over");
    ports->reap();
    settle();
  }

  TargetPort& port(int tid = 1) {
    TargetPort* found = ports->find(tid);
    CHECK(found != nullptr);
    return *found;
  }

  Session& log_in(std::uint8_t number, int tid = 1) {
    return ports->add_session(port(tid), initiator(number));
  }

  // The identifiers of a target of this name.
  void check_id(const char* name, std::uint64_t id_ext, std::uint64_t ioc_guid) {
    srp::fake::Target& other = tgtd.create_target(9, name);
    ports->add(other);
    CHECK_EQUAL(hex64(id_ext), hex64(srp::id_ext(port(9).id())));
    CHECK_EQUAL(hex64(ioc_guid), hex64(srp::ioc_guid(port(9).id())));
    ports->remove(9);
    tgtd.delete_target(other, true, false);
  }
};

TEST(TargetPorts, hex64__is_16_digits) {
  CHECK_EQUAL(std::string{"0000000000000000"}, hex64(0));
  CHECK_EQUAL(std::string{"0123456789abcdef"}, hex64(0x0123456789abcdef));
  CHECK_EQUAL(std::string(16, 'f'), hex64(~std::uint64_t{0}));
}

TEST(TargetPorts, host_guid__is_the_hosts_and_locally_administered) {
  const std::uint64_t guid = srp::host_guid();
  CHECK_EQUAL(hex64(guid), hex64(srp::host_guid()));
  CHECK_EQUAL(2u, static_cast<unsigned>(guid >> 56 & 3));
  CHECK((guid & 0x00ffffffffffffff) != 0);
}

TEST(TargetPorts, add__makes_a_port_with_the_hash_of_the_name_and_the_hosts_guid) {
  CHECK_EQUAL(1, port().tid());
  CHECK_EQUAL(std::string{"foobar"}, port().name());
  CHECK_EQUAL(hex64(hash_of_foobar), hex64(srp::id_ext(port().id())));
  CHECK_EQUAL(hex64(0x0002c90300a34270), hex64(srp::ioc_guid(port().id())));
  const PortId bytes{0x85, 0x94, 0x41, 0x71, 0xf7, 0x39, 0x67, 0xe8,
                     0x00, 0x02, 0xc9, 0x03, 0x00, 0xa3, 0x42, 0x70};
  CHECK(port().id() == bytes);
  POINTERS_EQUAL(&port(), ports->find(bytes, {}).front());
  CHECK_FALSE(port().retired());
}

TEST(TargetPorts, add__takes_identifiers_from_the_settings) {
  settings.targets = {
      {"both", 1, 2, {}}, {"extension", 3, {}, {}}, {"guid", {}, 4, {}}, {"neither", {}, {}, {}}};
  check_id("both", 1, 2);
  check_id("extension", 3, 0x0002c90300a34270);
  check_id("guid", 0xf37d60723fa7a48c, 4);
  check_id("Both", 0xf7a5f7a7c80c3082, 0x0002c90300a34270);
}

TEST(TargetPorts, add__without_settings_takes_the_guid_of_the_host) {
  settings.srpt_service_guid.reset();
  TargetPorts others{settings, loop};
  others.add(target);
  CHECK_EQUAL(hex64(srp::host_guid()), hex64(srp::ioc_guid(others.find(1)->id())));
}

TEST(TargetPorts, add__says_which_target_shares_the_port) {
  settings.targets = {{"second", hash_of_foobar, {}, {}}};
  srp::fake::Target& second = tgtd.create_target(2, "second");
  const std::string log = srp::test::log_of([&] { ports->add(second); });
  STRCMP_CONTAINS("target 2 second shares", log.c_str());
  STRCMP_CONTAINS("with target 1 foobar", log.c_str());
  CHECK_EQUAL(2u, ports->all().size());
}

TEST(TargetPorts, find__knows_all_that_share_a_port_by_number) {
  settings.targets = {{"second", hash_of_foobar, {}, {}}, {"third", hash_of_foobar, {}, {}}};
  ports->add(tgtd.create_target(3, "third"));
  ports->add(tgtd.create_target(2, "second"));
  const auto found = ports->find(port(1).id(), {});
  CHECK_EQUAL(3u, found.size());
  for (int tid = 1; tid <= 3; ++tid) {
    POINTERS_EQUAL(&port(tid), found[static_cast<std::size_t>(tid - 1)]);
  }
  ports->remove(2);
  CHECK_EQUAL(2u, ports->find(port(1).id(), {}).size());
}

TEST(TargetPorts, id_over__is_the_service_guid_twice_where_the_name_is_a_ports) {
  settings.srpt_port_names = true;
  ports->add(tgtd.create_target(2, "fe80:0000:0000:0000:0002:c903:00a1:b2c3"));
  srp::Path path;
  path.local_gid = *srp::address_from_text("fe80::2:c903:a1:b2c3");
  path.node_guid = 0x77;
  const auto id = port(2).id_over(path);
  CHECK_TRUE(id.has_value());
  CHECK_EQUAL(hex64(*settings.srpt_service_guid), hex64(srp::id_ext(*id)));
  CHECK_EQUAL(hex64(*settings.srpt_service_guid), hex64(srp::ioc_guid(*id)));
  CHECK_FALSE(port(2).id_over({}).has_value());
  CHECK_TRUE(port(1).id_over({}) == port(1).id());
  CHECK_TRUE(port(2).named_by_port());
  CHECK_FALSE(port(1).named_by_port());
}

TEST(TargetPorts, id_over__is_the_devices_guid_twice_where_no_service_guid_is_set) {
  settings.srpt_port_names = true;
  settings.srpt_service_guid.reset();
  settings.targets = {{"10.0.0.1-b", 5, {}, {}}};
  ports->add(tgtd.create_target(2, "0002:c903:00a1:b2c0-a"));
  ports->add(tgtd.create_target(3, "10.0.0.1-b"));
  srp::Path path;
  path.node_guid = 0x0002c90300a1b2c0;
  path.local_gid = *srp::address_from_text("::ffff:10.0.0.1");
  const auto id = port(2).id_over(path);
  CHECK_TRUE(id && srp::id_ext(*id) == path.node_guid && srp::ioc_guid(*id) == path.node_guid);
  CHECK_EQUAL(1u, ports->find(*id, path).size());
  const auto own = port(3).id_over(path);
  CHECK_TRUE(own && srp::id_ext(*own) == 5);
}

TEST(TargetPorts, id_over__is_a_name_like_any_other_where_the_setting_is_off) {
  ports->add(tgtd.create_target(2, "10.0.0.1"));
  CHECK_FALSE(port(2).named_by_port());
  CHECK_TRUE(port(2).id_over({}).has_value());
}

TEST(TargetPorts, add__of_a_number_that_was_not_removed_removes_it) {
  Session& session = log_in(1);
  ports->add(target);
  CHECK_EQUAL(2u, ports->all().size());
  CHECK(session.draining());
  CHECK(ports->all()[0]->retired());
  POINTERS_EQUAL(ports->all()[1].get(), ports->find(1));
  settle();
  CHECK_EQUAL(1u, ports->all().size());
}

TEST(TargetPorts, find__knows_only_what_there_is) {
  POINTERS_EQUAL(nullptr, ports->find(2));
  CHECK_TRUE(ports->find(PortId{}, {}).empty());
}

TEST(TargetPorts, remove__closes_the_sessions_and_forgets_the_port_in_a_job) {
  Session& session = log_in(1);
  const PortId id = port().id();
  ports->remove(1);
  CHECK(session.draining());
  POINTERS_EQUAL(nullptr, ports->find(1));
  CHECK_TRUE(ports->find(id, {}).empty());
  CHECK_EQUAL(1u, ports->all().size());
  settle();
  CHECK_EQUAL(0u, ports->all().size());
  CHECK_EQUAL(0u, ports->session_count());
}

TEST(TargetPorts, remove__of_what_is_not_there_does_nothing) {
  ports->remove(2);
  CHECK_FALSE(tgtd.busy());
  CHECK_EQUAL(1u, ports->all().size());
}

TEST(TargetPorts, remove__keeps_the_port_until_its_last_command_has_ended) {
  Session& session = log_in(1);
  Command command{1};
  session.tasks().insert(command);
  ports->remove(1);
  settle();
  CHECK_EQUAL(1u, ports->all().size());
  session.end(command);
  settle();
  CHECK_EQUAL(0u, ports->all().size());
}

TEST(TargetPorts, sync__keeps_what_tgtd_has) {
  ports->sync();
  CHECK_EQUAL(1u, ports->all().size());
  CHECK_FALSE(port().retired());
}

TEST(TargetPorts, sync__misses_a_target_that_was_deleted_behind_our_back) {
  CHECK(tgtd.delete_target(target, true, false));
  ports->sync();
  POINTERS_EQUAL(nullptr, ports->find(1));
  settle();
  CHECK_EQUAL(0u, ports->all().size());
  ports->sync();
}

TEST(TargetPorts, sync__misses_a_target_whose_number_has_another_name_now) {
  CHECK(tgtd.delete_target(target, true, false));
  tgtd.create_target(1, "another");
  ports->sync();
  POINTERS_EQUAL(nullptr, ports->find(1));
}

TEST(TargetPorts, sync__leaves_retired_ports_alone) {
  Session& session = log_in(1);
  Command command{1};
  session.tasks().insert(command);
  ports->remove(1);
  settle();
  CHECK(tgtd.delete_target(target, true, false));
  ports->sync();
  CHECK_FALSE(tgtd.busy());
  session.end(command);
}

TEST(TargetPorts, sync__tells_a_retired_port_from_its_successor_of_the_same_number) {
  Session& session = log_in(1);
  Command command{1};
  session.tasks().insert(command);
  ports->remove(1);
  CHECK(tgtd.delete_target(target, true, false));
  ports->add(tgtd.create_target(1, "successor"));
  ports->sync();
  CHECK_EQUAL(std::string{"successor"}, port().name());
  session.end(command);
  settle();
  CHECK_EQUAL(1u, ports->all().size());
}

TEST(TargetPorts, on_tick__misses_targets_and_passes_the_time_to_sessions) {
  Session& session = log_in(1);
  Task task{7};
  task.ticks_left = 1;
  session.add(task);
  ports->on_tick();
  CHECK_EQUAL(1, task.expirations);
  CHECK(tgtd.delete_target(target, true, false));
  ports->on_tick();
  POINTERS_EQUAL(nullptr, ports->find(1));
}

TEST(TargetPorts, close_offline__closes_sessions_only_where_target_and_tgtd_are_offline) {
  Session& session = log_in(1);
  ports->close_offline();
  CHECK_FALSE(session.draining());
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_OFFLINE);
  ports->close_offline();
  CHECK_FALSE(session.draining());
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_READY);
  tgtd.set_system_available(false);
  ports->close_offline();
  CHECK_FALSE(session.draining());
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_OFFLINE);
  ports->close_offline();
  CHECK(session.draining());
}

TEST(TargetPorts, inherit_reservations__takes_those_of_earlier_nexuses_of_the_initiator) {
  srp::fake::Lu& lu = tgtd.create_lu(target, 1, 8, false);
  Session& gone = log_in(1);
  Session& draining = log_in(1);
  Session& other = log_in(2);
  srp::tgt::registration registrations[3]{};
  const Session* owners[] = {&gone, &draining, &other};
  for (int i = 0; i < 3; ++i) {
    registrations[i].nexus_id = owners[i]->stamp().id;
    registrations[i].ctime = owners[i]->stamp().created;
    srp::fake::list_add_tail(registrations[i].registration_siblings, lu.registration_list);
  }
  const std::uint64_t gone_id = gone.stamp().id;
  gone.close("test");
  ports->reap();
  const PortId* departed = port().initiator_of(gone_id);
  CHECK_TRUE(departed != nullptr && *departed == initiator(1).port_id);

  Session& fresh = log_in(1);
  port().inherit_reservations(fresh);
  CHECK_EQUAL(fresh.stamp().id, registrations[0].nexus_id);
  CHECK_EQUAL(fresh.stamp().id, registrations[1].nexus_id);
  CHECK_EQUAL(other.stamp().id, registrations[2].nexus_id);
  POINTERS_EQUAL(nullptr, port().initiator_of(gone_id));
  for (auto& one : registrations) srp::fake::list_del(one.registration_siblings);
}

TEST(TargetPorts, initiator_of__forgets_a_nexus_that_is_registered_nowhere) {
  const std::uint64_t id = log_in(1).nexus().id();
  const PortId* known = port().initiator_of(id);
  CHECK_TRUE(known != nullptr && *known == initiator(1).port_id);
  port().close_sessions("test");
  ports->reap();
  POINTERS_EQUAL(nullptr, port().initiator_of(id));
}

TEST(TargetPorts, add_session__never_uses_a_nexus_number_again) {
  const std::uint64_t first = log_in(1).nexus().id();
  CHECK(first != 0);
  port().close_sessions("test");
  ports->reap();
  CHECK_EQUAL(0u, ports->session_count());
  const std::uint64_t second = log_in(1).nexus().id();
  CHECK(second > first);
  srp::fake::Target& other = tgtd.create_target(2, "other");
  ports->add(other);
  CHECK(log_in(1, 2).nexus().id() > second);
  CHECK_EQUAL(2u, ports->session_count());
}

TEST(TargetPorts, add_session__throws_where_tgtd_has_no_target) {
  CHECK(tgtd.delete_target(target, true, false));
  CHECK_THROWS(std::system_error, log_in(1));
  CHECK_EQUAL(0u, ports->session_count());
}

TEST(TargetPorts, live_session__is_that_of_the_initiator_and_not_one_that_drains) {
  Session& one = log_in(1);
  Session& two = log_in(2);
  POINTERS_EQUAL(&one, port().live_session(initiator(1).port_id));
  POINTERS_EQUAL(&two, port().live_session(initiator(2).port_id));
  POINTERS_EQUAL(nullptr, port().live_session(initiator(3).port_id));
  one.close("test");
  POINTERS_EQUAL(nullptr, port().live_session(initiator(1).port_id));
  Session& again = log_in(1);
  POINTERS_EQUAL(&again, port().live_session(initiator(1).port_id));
}

TEST(TargetPorts, find_session__is_that_of_the_nexus) {
  Session& one = log_in(1);
  Session& two = log_in(2);
  POINTERS_EQUAL(&one, port().find_session(one.nexus().id()));
  POINTERS_EQUAL(&two, port().find_session(two.nexus().id()));
  POINTERS_EQUAL(nullptr, port().find_session(two.nexus().id() + 1));
}

TEST(TargetPorts, reap__destroys_what_is_done_and_nothing_else) {
  Session& one = log_in(1);
  Session& two = log_in(2);
  one.close("test");
  ports->reap();
  CHECK_EQUAL(1u, ports->session_count());
  POINTERS_EQUAL(&two, port().sessions()[0].get());
  CHECK_EQUAL(1u, ports->all().size());
  Command command{1};
  two.tasks().insert(command);
  two.close("test");
  ports->reap();
  CHECK_EQUAL(1u, ports->session_count());
  two.end(command);
  settle();  // its end is noticed without being asked for
  CHECK_EQUAL(0u, ports->session_count());
}

TEST(TargetPorts, add_session__holds_commands_behind_those_of_the_same_initiator) {
  Session& old = log_in(1);
  Command before{1};
  old.tasks().insert(before);
  CHECK(old.admit(before));
  old.close("test");

  Session& fresh = log_in(1);
  Session& other = log_in(2);
  Command same_unit{1}, other_unit{2}, other_initiator{1};
  fresh.tasks().insert(same_unit);
  fresh.tasks().insert(other_unit);
  other.tasks().insert(other_initiator);
  CHECK_FALSE(fresh.admit(same_unit));
  CHECK(fresh.admit(other_unit));
  CHECK(other.admit(other_initiator));

  old.end(before);
  settle();
  CHECK_EQUAL(2u, ports->session_count());  // the old one is gone, and its successor was told
  CHECK_EQUAL(1, same_unit.proceeds);
  fresh.end(same_unit);
  fresh.end(other_unit);
  other.end(other_initiator);
}

TEST(TargetPorts, on_managed__finds_the_task_in_any_session_of_any_port) {
  srp::fake::Target& second = tgtd.create_target(2, "second");
  ports->add(second);
  Session& one = log_in(1);
  Session& two = log_in(2);
  Session& three = log_in(1, 2);
  Task tasks[] = {Task{11}, Task{12}, Task{13}};
  one.add(tasks[0]);
  two.add(tasks[1]);
  three.add(tasks[2]);
  CHECK(one.unit_tasks().begin(1, 11));
  CHECK(two.unit_tasks().begin(2, 12));
  CHECK(three.unit_tasks().begin(1, 13));
  for (int i = 0; i < 3; ++i) {
    CHECK(ports->on_managed(11 + static_cast<std::uint64_t>(i), -i));
    CHECK_EQUAL(-i, tasks[i].result);
  }
  CHECK_FALSE(ports->on_managed(14, 0));
}
