// The stories about commands, logins and task management; see scenarios.h.
#include "tests/sim/scenarios.h"

#include "tests/sim/simulation.h"

namespace srp::sim {

namespace {

using fake::CommandKind;
using fake::fail;
using fake::InitiatorChannel;
using State = InitiatorChannel::State;

void end(Simulation& s) {
  s.settle();
  s.finish();
}

fake::SentCommand& only_command(InitiatorChannel& channel) {
  if (channel.commands.size() != 1) fail("the scenario has %zu commands", channel.commands.size());
  return channel.commands.begin()->second;
}

void wait_until_queued(Simulation& s, std::size_t held) {
  s.run_until("commands in the store", [&] { return s.world.tgtd->held() >= held; });
}

void login_write_read(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  channel.read_or_write(CommandKind::write, s.unit(), 3, 5);
  s.run();
  channel.read_or_write(CommandKind::read, s.unit(), 0, 16);
  s.run();
  if (!channel.idle() || channel.last_status != 0) fail("the read did not end well");
  end(s);
}

// The old session's write is in a store that stalls; the new session's write must wait for it, and
// only those for the same unit.
void relogin_fences_old_write(std::uint64_t seed) {
  Simulation s(seed, {.luns = 3});
  InitiatorChannel& old = s.log_in();
  s.clear_attentions(old);
  s.lu(1).stalled = true;
  old.read_or_write(CommandKind::write, s.unit(1), 0, 4);
  wait_until_queued(s, 1);
  InitiatorChannel& fresh = s.log_in();
  if (fresh.result != wire::MultiChannelResult::terminated)
    fail("the old channel is not said to be terminated");
  fresh.read_or_write(CommandKind::write, s.unit(1), 0, 4);
  fresh.read_or_write(CommandKind::write, s.unit(2), 0, 4);
  s.ticks(8);
  if (fresh.commands.size() != 1) {
    fail("%zu commands wait, and not the one for the fenced unit", fresh.commands.size());
  }
  s.lu(1).stalled = false;
  s.ticks(2);
  if (!fresh.idle()) fail("the fence stays");
  end(s);
}

// The same for a single channel of a session that goes on.
void channel_loss_fences_old_write(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& first = s.log_in();
  s.clear_attentions(first);
  InitiatorChannel& second = s.log_in(0, 0, wire::MultiChannelAction::multi);
  s.lu().stalled = true;
  first.read_or_write(CommandKind::write, s.unit(), 0, 4);
  wait_until_queued(s, 1);
  first.disconnect();
  s.run();
  second.read_or_write(CommandKind::write, s.unit(), 0, 4);
  s.ticks(4);
  s.lu().stalled = false;
  s.ticks(2);
  if (!second.idle()) fail("the fence stays");
  end(s);
}

// A MULTI login that follows joins the new session, not the one that drains.
void multi_joins_the_new_session(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& old = s.log_in();
  s.clear_attentions(old);
  s.lu().stalled = true;
  old.read_or_write(CommandKind::write, s.unit(), 0, 4);
  wait_until_queued(s, 1);
  s.log_in();
  InitiatorChannel& second = s.log_in(0, 0, wire::MultiChannelAction::multi);
  if (second.result != wire::MultiChannelResult::maintained)
    fail("the second channel stands alone");
  if (s.target().nexuses.size() != 2) fail("there are %zu nexuses", s.target().nexuses.size());
  s.lu().stalled = false;
  end(s);
}

// A stalled store: the task is answered all the same, its command never is, and its credit comes
// back.
void abort_in_a_stalled_store(std::uint64_t seed) {
  Simulation s(seed, {.credits = 2});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.lu().stalled = true;
  channel.read_or_write(CommandKind::read, s.unit(), 0, 4);
  wait_until_queued(s, 1);
  channel.abort(only_command(channel));
  s.ticks(20);
  if (!channel.tasks.empty()) fail("no answer to the abort within 5 s");
  if (channel.last_code == 0) fail("the abort is complete although the store works on the command");
  s.lu().stalled = false;
  end(s);
}

// An abort meets its command in every state.
void abort_anywhere(std::uint64_t seed) {
  Simulation s(seed, {.credits = 4, .unit_blocks = 256});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  for (int i = 0; i < 20; ++i) {
    const auto kind = s.world.random.chance(0.5) ? CommandKind::read : CommandKind::write;
    channel.read_or_write(kind, s.unit(), 0, s.world.random.between(1, 200));
    for (std::size_t n = s.world.random.below(40); n > 0 && !channel.idle(); --n) s.step_world();
    if (!channel.commands.empty()) channel.abort(only_command(channel));
    s.run();
    if (!channel.idle()) fail("an abort leaves something open");
  }
  end(s);
}

void reset_waits_for_the_store(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  InitiatorChannel& second = s.log_in(0, 0, wire::MultiChannelAction::multi);
  s.lu().stalled = true;
  second.read_or_write(CommandKind::write, s.unit(), 0, 4);
  wait_until_queued(s, 1);
  channel.reset(s.unit());
  s.ticks(4);
  if (channel.tasks.empty()) fail("a reset is answered while the store works on a command");
  s.lu().stalled = false;
  s.run();
  if (channel.last_code != 0 || !second.idle()) fail("the reset did not end the command");
  end(s);
}

// The second reset takes the first one's place in tgtd, which never answers the first.
void two_resets_are_both_answered(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.lu().stalled = true;
  channel.read_or_write(CommandKind::write, s.unit(), 0, 4);
  wait_until_queued(s, 1);
  channel.reset(s.unit());
  channel.reset(s.unit());
  s.run();
  s.lu().stalled = false;
  s.ticks(24);
  if (!channel.tasks.empty()) fail("%zu resets are not answered", channel.tasks.size());
  end(s);
}

// More requests than the limit, none of which can be answered.
void overdraft_is_cut_off(std::uint64_t seed) {
  Simulation s(seed, {.credits = 4});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.lu().stalled = true;
  channel.overdrawn = true;
  for (int i = 0; i < 5; ++i) channel.read_or_write(CommandKind::read, s.unit(), 0, 1);
  s.run();
  if (channel.state != State::down) fail("the overdraft is served");
  s.lu().stalled = false;
  end(s);
}

void nonsense_is_answered_or_cut_off(std::uint64_t seed) {
  Simulation s(seed, {});
  for (int i = 0; i < 60; ++i) {
    InitiatorChannel& channel = s.log_in();
    s.clear_attentions(channel);
    channel.send_nonsense();
    s.run();
    if (channel.doomed && channel.state == State::up) fail("nonsense is served");
    if (channel.state == State::up && !channel.idle()) fail("nonsense is not answered");
    s.initiators[0]->clean_up();
  }
  end(s);
}

void bad_logins_leave_the_session_alone(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  for (int i = 0; i < 30; ++i) {
    InitiatorChannel& bad = s.initiators[0]->add_channel(*s.host.sites[0]);
    bad.login_with_nonsense();
    s.run_until("the answer to a login", [&] { return bad.state != State::requesting; });
  }
  if (channel.state != State::up) fail("a refused login ended another session");
  end(s);
}

void channel_limit(std::uint64_t seed) {
  Simulation s(seed, {.channels_max = 2});
  s.log_in();
  s.log_in(0, 0, wire::MultiChannelAction::multi);
  InitiatorChannel& third = s.initiators[0]->add_channel(*s.host.sites[0]);
  third.login(wire::MultiChannelAction::multi);
  s.run_until("the answer to a login", [&] { return third.state != State::requesting; });
  if (third.state != State::down) fail("a channel too many is accepted");
  if (s.initiators[0]->channels[0]->state != State::up) fail("the others suffer");
  end(s);
}

// All memory is in use, and none can be had: commands wait for their turn.
void memory_runs_out(std::uint64_t seed) {
  Simulation s(seed, {.credits = 16, .unit_blocks = 2048});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.world.faults.set(fake::Fault::reg_mr, 1);
  for (int i = 0; i < 12; ++i) {
    const auto kind = s.world.random.chance(0.5) ? CommandKind::read : CommandKind::write;
    channel.read_or_write(kind, s.unit(), s.world.random.below(1000),
                          s.world.random.between(1, 1000));
  }
  s.run();
  if (!channel.idle()) fail("a command waits for ever");
  s.world.faults.clear();
  end(s);
}

}  // namespace

void add_command_scenarios(std::vector<Scenario>& all) {
  all.insert(all.end(),
             {
                 {"login_write_read", login_write_read},
                 {"relogin_fences_old_write", relogin_fences_old_write},
                 {"channel_loss_fences_old_write", channel_loss_fences_old_write},
                 {"multi_joins_the_new_session", multi_joins_the_new_session},
                 {"abort_in_a_stalled_store", abort_in_a_stalled_store},
                 {"abort_anywhere", abort_anywhere},
                 {"reset_waits_for_the_store", reset_waits_for_the_store},
                 {"two_resets_are_both_answered", two_resets_are_both_answered},
                 {"overdraft_is_cut_off", overdraft_is_cut_off},
                 {"nonsense_is_answered_or_cut_off", nonsense_is_answered_or_cut_off},
                 {"bad_logins_leave_the_session_alone", bad_logins_leave_the_session_alone},
                 {"channel_limit", channel_limit},
                 {"memory_runs_out", memory_runs_out, 5},
             });
}

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = [] {
    std::vector<Scenario> list;
    add_command_scenarios(list);
    add_fault_scenarios(list);
    return list;
  }();
  return all;
}

}  // namespace srp::sim
