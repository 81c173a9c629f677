// How a session begins, holds commands behind those of older logins, and ends.
#include "lld_srp/session.h"

#include <netinet/in.h>

#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t no_nexus = 99;

InitiatorIdentity identity() {
  InitiatorIdentity initiator;
  initiator.port_id[7] = 0x11;
  initiator.port_id[15] = 0x22;
  auto& address = reinterpret_cast<sockaddr_in&>(initiator.address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0x0a000105);
  return initiator;
}

// A command that only counts what it is told.
struct Entry : TaskSet::Entry {
  explicit Entry(LunNumber number) : TaskSet::Entry(owner) { lun = number; }
  static const TaskSet::Entry::Owner owner;
  unsigned aborts = 0;
  unsigned proceeded = 0;
};
const TaskSet::Entry::Owner Entry::owner = {
    [](TaskSet::Entry& entry) noexcept { ++static_cast<Entry&>(entry).aborts; },
    [](TaskSet::Entry& entry) noexcept { ++static_cast<Entry&>(entry).proceeded; },
};

struct Pending : Session::PendingTask {
  explicit Pending(std::uint64_t number) : PendingTask(owner) { id = number; }
  static const PendingTask::Owner owner;
  unsigned reconsidered = 0;
  unsigned expired = 0;
  int result = -1;
  bool leaves = false;  // when it is reconsidered
};
const Session::PendingTask::Owner Pending::owner = {
    [](Session::PendingTask& task) noexcept {
      auto& pending = static_cast<Pending&>(task);
      ++pending.reconsidered;
      if (pending.leaves) pending.unlink();
    },
    [](Session::PendingTask& task, int answer) noexcept {
      static_cast<Pending&>(task).result = answer;
    },
    [](Session::PendingTask& task) noexcept { ++static_cast<Pending&>(task).expired; },
};

}  // namespace

TEST_GROUP(Session) {
  std::unique_ptr<BareRig> rig = std::make_unique<BareRig>();
  std::optional<EventLoop> loop;
  tgt::UnitTasks unit_tasks;
  unsigned idle_runs = 0;
  std::optional<Job> idle;

  void setup() override {
    rig->world.tgtd->create_target(1, "iqn.2024-01.org.example:disk");
    loop.emplace();
    idle.emplace([](void* self) noexcept { ++*static_cast<unsigned*>(self); }, &idle_runs);
  }
  void teardown() override {
    idle.reset();
    loop.reset();
    rig.reset();
  }

  std::unique_ptr<Session> make(std::uint64_t nexus_id = 1, int tid = 1) {
    return std::make_unique<Session>(tid, nexus_id, identity(), unit_tasks, *loop, *idle);
  }
  // A channel is only compared and failed; nothing of these tests lets one fail.
  Channel& channel(int number) { return *reinterpret_cast<Channel*>(&places[number]); }
  std::uint64_t places[2] = {};

  fake::Nexus* nexus(std::uint64_t id) { return rig->world.tgtd->find_target(1)->find_nexus(id); }

  static void insert(Session & session, Entry & entry) { session.tasks().insert(entry); }
};

TEST(Session, constructor__makes_the_nexus_known_with_lines_for_an_administrator) {
  const auto session = make(7);
  CHECK_TRUE(nexus(7) != nullptr);
  STRCMP_EQUAL(
      "            Initiator: 0x00000000000000110000000000000022 alias: none\n"
      "            Connection: 1\n"
      "                RDMA IP Address: 10.0.1.5\n",
      nexus(7)->info);
  STRCMP_EQUAL("0x00000000000000110000000000000022", session->initiator_name().c_str());
  CHECK_TRUE(session->initiator().port_id == identity().port_id);
  CHECK_EQUAL(7U, session->nexus().id());
  CHECK_EQUAL(1, session->nexus().tid());
}

TEST(Session, constructor__throws_where_there_is_no_such_target) {
  CHECK_THROWS(std::system_error, make(1, 2));
}

TEST(Session, constructor__throws_where_the_nexus_is_there) {
  const auto session = make();
  CHECK_THROWS(std::system_error, make());
}

TEST(Session, destructor__takes_the_nexus_away) {
  make(7).reset();
  CHECK_TRUE(nexus(7) == nullptr);
}

TEST(Session, detach__the_last_channel_ends_the_session) {
  const auto session = make();
  session->attach(channel(0));
  session->attach(channel(1));
  CHECK_EQUAL(2U, session->channels().size());
  session->detach(channel(0));
  rig->run_loop();
  CHECK_FALSE(session->draining());
  CHECK_FALSE(session->done());
  CHECK_TRUE(session->channels().front() == &channel(1));
  session->detach(channel(1));
  CHECK_TRUE(session->draining());
  CHECK_TRUE(session->done());
  CHECK_EQUAL(0U, idle_runs);  // later, not from within
  rig->run_loop();
  CHECK_EQUAL(1U, idle_runs);
}

TEST(Session, detach__commands_keep_the_session_until_they_have_ended) {
  const auto session = make();
  Entry entry{1};
  session->attach(channel(0));
  insert(*session, entry);
  session->detach(channel(0));
  rig->run_loop();
  CHECK_FALSE(session->done());
  CHECK_EQUAL(0U, idle_runs);
  session->end(entry);
  CHECK_TRUE(session->done());
  rig->run_loop();
  CHECK_EQUAL(1U, idle_runs);
}

TEST(Session, close__fails_every_channel) {
  teardown();  // there is one world at a time
  Rig full;
  Client& one = full.log_in();
  Client& two = full.log_in({.action = wire::MultiChannelAction::multi});
  Session& session = Rig::session(one);
  CHECK_TRUE(&session == &Rig::session(two));
  CHECK_EQUAL(2U, session.channels().size());
  session.close("test");
  CHECK_TRUE(session.draining());
  STRCMP_EQUAL("test", Rig::channel(one).failure());
  STRCMP_EQUAL("test", Rig::channel(two).failure());
  full.run();
  CHECK_EQUAL(0U, full.port().sessions().size());
}

TEST(Session, admit__without_predecessor_lets_commands_through) {
  const auto session = make();
  Entry entry{1};
  insert(*session, entry);
  CHECK_TRUE(session->admit(entry));
  CHECK_TRUE(entry.in_tgtd());
  session->end(entry);
}

TEST(Session, admit__holds_where_the_predecessor_has_the_unit_in_tgtd) {
  const auto old = make(1);
  const auto next = make(2);
  next->fence_behind(*old);
  Entry in_tgtd{1};
  Entry same_unit{1};
  Entry other_unit{2};
  insert(*old, in_tgtd);
  CHECK_TRUE(old->admit(in_tgtd));
  insert(*next, same_unit);
  insert(*next, other_unit);
  CHECK_FALSE(next->admit(same_unit));
  CHECK_TRUE(same_unit.held());
  CHECK_TRUE(next->admit(other_unit));
  for (Entry* entry : {&same_unit, &other_unit}) next->end(*entry);
  old->end(in_tgtd);
}

TEST(Session, admit__does_not_wait_for_what_the_predecessor_has_not_in_tgtd) {
  const auto old = make(1);
  const auto next = make(2);
  next->fence_behind(*old);
  Entry waits{1};
  Entry entry{1};
  insert(*old, waits);
  insert(*next, entry);
  CHECK_TRUE(next->admit(entry));
  old->end(waits);
  next->end(entry);
}

TEST(Session, predecessor_gone__lets_held_commands_proceed) {
  auto old = make(1);
  auto older = make(2);
  const auto next = make(3);
  next->fence_behind(*old);
  Entry in_tgtd{1};
  Entry held{1};
  insert(*old, in_tgtd);
  CHECK_TRUE(old->admit(in_tgtd));
  insert(*next, held);
  CHECK_FALSE(next->admit(held));

  next->predecessor_gone(*older);  // none of its own
  rig->run_loop();
  CHECK_EQUAL(0U, held.proceeded);
  old->end(in_tgtd);
  next->predecessor_gone(*old);
  CHECK_EQUAL(0U, held.proceeded);  // later, not from within
  old.reset();
  rig->run_loop();
  CHECK_EQUAL(1U, held.proceeded);
  CHECK_TRUE(held.in_tgtd());
  next->end(held);
}

TEST(Session, on_tick__looks_again_at_a_predecessor_that_stays) {
  const auto old = make(1);
  const auto next = make(2);
  next->fence_behind(*old);
  Entry in_tgtd{1};
  Entry other{2};
  Entry held{1};
  for (Entry* entry : {&in_tgtd, &other}) {
    insert(*old, *entry);
    CHECK_TRUE(old->admit(*entry));
  }
  insert(*next, held);
  CHECK_FALSE(next->admit(held));
  next->on_tick();
  rig->run_loop();
  CHECK_EQUAL(0U, held.proceeded);
  old->end(in_tgtd);
  next->on_tick();
  rig->run_loop();
  CHECK_EQUAL(1U, held.proceeded);
  old->end(other);
  next->end(held);
}

TEST(Session, end__tells_pending_tasks_once_for_all_that_ended) {
  const auto session = make();
  Entry one{1};
  Entry two{1};
  Pending task{5};
  insert(*session, one);
  insert(*session, two);
  session->add(task);
  session->end(one);
  session->end(two);
  CHECK_EQUAL(0U, task.reconsidered);
  rig->run_loop();
  CHECK_EQUAL(1U, task.reconsidered);
}

TEST(Session, end__every_pending_task_is_told_also_when_one_leaves) {
  const auto session = make();
  Entry entry{1};
  Pending first{5};
  Pending second{6};
  first.leaves = true;
  insert(*session, entry);
  session->add(first);
  session->add(second);
  session->end(entry);
  rig->run_loop();
  CHECK_EQUAL(1U, first.reconsidered);
  CHECK_EQUAL(1U, second.reconsidered);
}

TEST(Session, end__an_abandoned_command_lets_those_held_behind_it_proceed) {
  const auto session = make();
  Entry abandoned{1};
  Entry held{1};
  insert(*session, abandoned);
  CHECK_TRUE(session->admit(abandoned));
  CHECK_EQUAL(1U, session->tasks().abort_if([](const TaskSet::Entry&) { return true; }));
  CHECK_EQUAL(1U, abandoned.aborts);
  insert(*session, held);
  CHECK_FALSE(session->admit(held));
  session->end(abandoned);
  rig->run_loop();
  CHECK_EQUAL(1U, held.proceeded);
  session->end(held);
}

TEST(Session, end__asks_for_nothing_where_nobody_waits) {
  const auto session = make();
  Entry entry{1};
  insert(*session, entry);
  session->end(entry);
  CHECK_FALSE(rig->world.tgtd->busy());
}

TEST(Session, on_managed__finds_the_task_by_its_number) {
  const auto session = make();
  Pending first{5};
  Pending second{6};
  session->add(first);
  session->add(second);
  CHECK_TRUE(session->on_managed(6, 0));
  CHECK_EQUAL(-1, first.result);
  CHECK_EQUAL(0, second.result);
  CHECK_FALSE(session->on_managed(no_nexus, 0));
}

TEST(Session, on_tick__a_task_expires_once_when_its_ticks_are_over) {
  const auto session = make();
  Pending task{5};
  task.ticks_left = 3;
  session->add(task);
  for (int i = 0; i < 2; ++i) session->on_tick();
  CHECK_EQUAL(0U, task.expired);
  session->on_tick();
  CHECK_EQUAL(1U, task.expired);
  session->on_tick();
  CHECK_EQUAL(1U, task.expired);
}
