// Logical unit numbers, and the gate between the commands of a nexus and tgtd.
#include "lld_srp/task_set.h"

#include <vector>

#include "tests/unit/harness.h"
#include "tests/unit/observe.h"

using srp::decode_lun;
using srp::encode_lun;
using srp::lun_invalid;
using srp::LunNumber;
using srp::TaskSet;
using srp::wire::Lun;

namespace {

// A command that notes what it is told, and may end when it is told so.
struct Command : TaskSet::Entry {
  explicit Command(LunNumber unit = 1) : Entry(owner) { lun = unit; }

  static Command& of(Entry& entry) { return static_cast<Command&>(entry); }
  static void on_abort(Entry& entry) noexcept {
    ++of(entry).aborts;
    if (of(entry).ends_in != nullptr) of(entry).ends_in->erase(entry);
  }
  static void on_proceed(Entry& entry) noexcept {
    ++of(entry).proceeds;
    order.push_back(&of(entry));
    if (of(entry).ends_in != nullptr) of(entry).ends_in->erase(entry);
  }
  static constexpr Owner owner{on_abort, on_proceed};
  static inline std::vector<Command*> order;  // in which commands proceeded

  TaskSet* ends_in = nullptr;  // the set that it leaves at the next call
  int aborts = 0;
  int proceeds = 0;
};

constexpr auto all = [](const TaskSet::Entry&) { return true; };
constexpr auto never = [](LunNumber) { return false; };

}  // namespace

TEST_GROUP(TaskSet) {
  TaskSet set;

  void teardown() override {
    Command::order.clear();
    Command::order.shrink_to_fit();
  }

  // command is in the set, and tgtd has it.
  void start(Command & command) {
    set.insert(command);
    CHECK(set.admit(command, false));
  }

  // The same, aborted: its unit is blocked.
  void abandon(Command & command) {
    start(command);
    CHECK_EQUAL(1u, set.abort_if([&](const TaskSet::Entry& entry) { return &entry == &command; }));
  }

  void erase(std::initializer_list<Command*> commands) {
    for (Command* command : commands) set.erase(*command);
    CHECK(set.empty());
    CHECK_EQUAL(0u, set.size());
    CHECK_FALSE(set.watched());
  }
};

TEST(TaskSet, decode_lun__understands_peripheral_and_flat_addressing) {
  const struct {
    Lun lun;
    LunNumber number;
  } rows[] = {
      {{}, 0},
      {{0, 1}, 1},
      {{0, 255}, 255},
      {{1, 0}, 256},  // a bus byte
      {{0x3f, 0xff}, 0x3fff},
      {{0x40, 1}, 1},
      {{0x41, 0}, 256},
      {{0x7f, 0xff}, 0x3fff},
      {{0x80, 1}, lun_invalid},  // logical unit addressing
      {{0xc0, 1}, lun_invalid},  // extended
      {{0xc1, 0x01}, 0},         // REPORT LUNS
      {{0xc1, 0x02}, lun_invalid},
      {{0xc1, 0x00}, lun_invalid},
      {{0xc1, 0x01, 1}, lun_invalid},
      {{0xd2, 0, 0, 1}, lun_invalid},
      {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, lun_invalid},
  };
  for (const auto& row : rows) CHECK(decode_lun(row.lun) == row.number);
}

TEST(TaskSet, decode_lun__knows_nothing_below_a_unit) {
  for (std::size_t i = 2; i < 8; ++i) {
    Lun lun{0, 1};
    lun[i] = 1;
    CHECK(decode_lun(lun) == lun_invalid);
  }
}

TEST(TaskSet, encode_lun__is_what_decode_lun_understands) {
  for (LunNumber number = 0; number < 0x4000; ++number) {
    CHECK(decode_lun(encode_lun(number)) == number);
    CHECK_EQUAL(number < 256 ? 0 : 1, encode_lun(number)[0] >> 6);
  }
  CHECK((encode_lun(255) == Lun{0, 255}));
  CHECK((encode_lun(256) == Lun{0x41, 0}));
}

TEST(TaskSet, encode_lun__of_an_invalid_one_is_invalid_to_tgtd_too) {
  CHECK(decode_lun(encode_lun(lun_invalid)) == lun_invalid);
  CHECK_EQUAL(3, encode_lun(lun_invalid)[0] >> 6);
}

TEST(TaskSet, insert__starts_afresh) {
  Command command;
  abandon(command);
  set.erase(command);
  CHECK(command.aborted());
  set.insert(command);
  CHECK_FALSE(command.aborted());
  CHECK_FALSE(command.in_tgtd());
  CHECK_FALSE(command.held());
  erase({&command});
}

TEST(TaskSet, size__counts_what_is_in_the_set) {
  Command one, two;
  CHECK(set.empty());
  set.insert(one);
  set.insert(two);
  CHECK_EQUAL(2u, set.size());
  CHECK_FALSE(set.empty());
  set.erase(one);
  CHECK_EQUAL(1u, set.size());
  CHECK_FALSE(set.empty());
  erase({&two});
}

TEST(TaskSet, erase__of_what_is_not_in_a_set_is_an_error_of_ours) {
  STRCMP_CONTAINS("is_linked()", srp::test::last_words([] {
                                   TaskSet own;
                                   Command command;
                                   own.erase(command);
                                 }).c_str());
}

TEST(TaskSet, admit__lets_commands_go_to_tgtd) {
  Command one, two;
  set.insert(one);
  CHECK_FALSE(one.in_tgtd());
  CHECK(set.admit(one, false));
  CHECK(one.in_tgtd());
  CHECK_FALSE(one.held());
  start(two);  // not abandoned: nobody waits for the first
  CHECK_FALSE(set.watched());
  erase({&one, &two});
}

TEST(TaskSet, admit__holds_a_command_behind_an_abandoned_one_of_its_unit) {
  Command old, late, elsewhere{2};
  abandon(old);
  CHECK(set.watched());
  set.insert(late);
  CHECK_FALSE(set.admit(late, false));
  CHECK(late.held());
  CHECK_FALSE(late.in_tgtd());
  start(elsewhere);
  erase({&old, &late, &elsewhere});
}

TEST(TaskSet, admit__holds_a_fenced_command) {
  Command command;
  set.insert(command);
  CHECK_FALSE(set.admit(command, true));
  CHECK(command.held());
  CHECK(set.watched());
  erase({&command});
}

TEST(TaskSet, admit__is_not_blocked_by_what_was_aborted_before_it_reached_tgtd) {
  Command old, late;
  set.insert(old);
  CHECK_EQUAL(1u, set.abort_if(all));
  CHECK(old.aborted());
  CHECK_FALSE(set.watched());
  start(late);
  erase({&old, &late});
}

TEST(TaskSet, finish__ends_the_block_of_an_abandoned_command) {
  Command old, late;
  abandon(old);
  CHECK(set.abandoned_on(1));
  set.finish(old);
  CHECK_FALSE(old.in_tgtd());
  CHECK_FALSE(set.abandoned_on(1));
  CHECK_FALSE(set.watched());
  set.finish(old);  // tgtd may have refused it before
  start(late);
  erase({&old, &late});
}

TEST(TaskSet, erase__ends_the_block_and_the_hold) {
  Command old, late;
  abandon(old);
  set.insert(late);
  CHECK_FALSE(set.admit(late, false));
  set.erase(late);
  CHECK_FALSE(late.held());
  CHECK(set.watched());
  erase({&old});
}

TEST(TaskSet, release_held__lets_commands_go_when_the_old_one_has_ended) {
  Command old, late, later;
  abandon(old);
  for (Command* command : {&late, &later}) {
    set.insert(*command);
    CHECK_FALSE(set.admit(*command, false));
  }
  set.release_held(never);
  CHECK_EQUAL(0, late.proceeds);
  set.erase(old);
  CHECK_EQUAL(0, late.proceeds);  // only where it is asked for
  set.release_held(never);
  CHECK_EQUAL(1, late.proceeds);
  CHECK_EQUAL(1, later.proceeds);
  CHECK(late.in_tgtd() && later.in_tgtd());
  CHECK_FALSE(late.held() || later.held());
  CHECK((Command::order == std::vector<Command*>{&late, &later}));
  set.release_held(never);
  CHECK_EQUAL(1, late.proceeds);
  erase({&late, &later});
}

TEST(TaskSet, release_held__asks_for_the_fence_of_each_unit) {
  Command one{1}, two{2};
  for (Command* command : {&one, &two}) {
    set.insert(*command);
    CHECK_FALSE(set.admit(*command, true));
  }
  set.release_held([](LunNumber lun) { return lun == 1; });
  CHECK_EQUAL(0, one.proceeds);
  CHECK_EQUAL(1, two.proceeds);
  CHECK(set.watched());
  set.release_held(never);
  CHECK_EQUAL(1, one.proceeds);
  erase({&one, &two});
}

TEST(TaskSet, release_held__asks_for_abandoned_commands_of_each_unit) {
  Command old{1}, one{1}, two{2};
  abandon(old);
  for (Command* command : {&one, &two}) {
    set.insert(*command);
    CHECK_FALSE(set.admit(*command, true));
  }
  set.release_held(never);
  CHECK_EQUAL(0, one.proceeds);
  CHECK_EQUAL(1, two.proceeds);
  erase({&old, &one, &two});
}

TEST(TaskSet, release_held__survives_commands_that_end_at_once) {
  Command one, two;
  for (Command* command : {&one, &two}) {
    set.insert(*command);
    CHECK_FALSE(set.admit(*command, true));
    command->ends_in = &set;
  }
  set.release_held(never);
  CHECK_EQUAL(1, one.proceeds);
  CHECK_EQUAL(1, two.proceeds);
  erase({});
}

TEST(TaskSet, abort_if__tells_those_that_match_and_counts_them) {
  Command one{1}, two{2}, three{1};
  for (Command* command : {&one, &two, &three}) start(*command);
  CHECK_EQUAL(2u, set.abort_if([](const TaskSet::Entry& entry) { return entry.lun == 1; }));
  CHECK_EQUAL(1, one.aborts);
  CHECK_EQUAL(0, two.aborts);
  CHECK_EQUAL(1, three.aborts);
  CHECK(one.aborted());
  CHECK_FALSE(two.aborted());
  CHECK_EQUAL(0u, set.abort_if([](const TaskSet::Entry&) { return false; }));
  erase({&one, &two, &three});
}

TEST(TaskSet, abort_if__counts_an_abandoned_command_once_however_often_it_is_aborted) {
  Command command;
  abandon(command);
  CHECK_EQUAL(1u, set.abort_if(all));
  CHECK_EQUAL(2, command.aborts);
  set.finish(command);
  CHECK_FALSE(set.watched());
  erase({&command});
}

TEST(TaskSet, abort_if__survives_commands_that_end_at_once) {
  Command one, two;
  for (Command* command : {&one, &two}) {
    start(*command);
    command->ends_in = &set;
  }
  CHECK_EQUAL(2u, set.abort_if(all));
  erase({});
}

TEST(TaskSet, count_if__counts_what_matches) {
  Command one{1}, two{2}, three{1};
  for (Command* command : {&one, &two, &three}) set.insert(*command);
  CHECK_EQUAL(2u, set.count_if([](const TaskSet::Entry& entry) { return entry.lun == 1; }));
  CHECK_EQUAL(3u, set.count_if(all));
  erase({&one, &two, &three});
  CHECK_EQUAL(0u, set.count_if(all));
}

TEST(TaskSet, abandoned_on__looks_at_the_unit_and_at_both_marks) {
  Command old{1}, aborted_outside{2}, running{3};
  abandon(old);
  set.insert(aborted_outside);
  CHECK_EQUAL(1u, set.abort_if([](const TaskSet::Entry& entry) { return entry.lun == 2; }));
  start(running);
  CHECK(set.abandoned_on(1));
  CHECK_FALSE(set.abandoned_on(2));
  CHECK_FALSE(set.abandoned_on(3));
  erase({&old, &aborted_outside, &running});
}
