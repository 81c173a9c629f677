// What must still work while the unit's store hangs: tasks, logins, log-outs.
#include <algorithm>

#include "cases.h"
#include "check.h"
#include "tasks.h"

namespace conformance {

namespace {

constexpr int late_ms = 1500;  // how long late responses are waited for, after the store goes on

// Until the commands sent before have come to the store, as far as one can know.
void let_them_arrive(Workbench& bench) {
  for (int i = 0; i < 10; ++i) must_be_good(bench.run(bench.ready()));
  bench.channel.must_be_silent(200);
}

// The data of a write may still have been on its way: then there was nothing that could fail.
void must_be_aborted(Lab& lab, Channel& channel, const TaskManagement& task, bool out) {
  if (!out) {
    (void)must_answer(lab, channel, task, {task::failed, task::complete});
    return;
  }
  const std::uint8_t code = run_task(channel, task);
  check(code == task::failed || code == task::complete, "code ", unsigned{code},
        ", should be 5 or 0");
}

// An aborted command that the store has must never be answered, and its task in good time.
void aborted(Lab& lab, std::uint8_t function, bool out) {
  Workbench bench(lab);
  lab.stall();
  const Command hung = out ? bench.write() : bench.read();
  bench.channel.send(hung.encode());
  let_them_arrive(bench);
  TaskManagement task = task_of(lab, bench.channel, function);
  task.managed = hung.tag;
  must_be_aborted(lab, bench.channel, task, out);
  check(bench.channel.is_owed(hung.tag), "the command is answered although its store hangs");
  bench.channel.forget(hung.tag);
  bench.channel.must_be_silent(100);
  lab.resume();
  bench.channel.must_be_silent(late_ms);
}

// Its tag may be used again as soon as the task is answered.
void tag_is_used_again(Lab& lab) {
  Workbench bench(lab);
  lab.stall();
  const Command hung = bench.read();
  bench.channel.send(hung.encode());
  TaskManagement abort = task_of(lab, bench.channel, task::abort_task);
  abort.managed = hung.tag;
  must_answer(lab, bench.channel, abort, {task::failed, task::complete});
  bench.channel.forget(hung.tag);
  lab.resume();
  bench.channel.remember(hung.tag);
  Command ready = bench.inquiry(36);
  ready.tag = hung.tag;
  must_be_good(bench.run(ready));
  check(bench.in.view(0, 1)[0] == 0, "no INQUIRY data");
  bench.channel.must_be_silent(late_ms);
}

// Neither an aborted write nor what it left behind may undo a later one.
void old_write_lands_first(Lab& lab) {
  Workbench bench(lab);
  lab.stall();
  const Command hung = bench.write();
  bench.channel.send(hung.encode());
  let_them_arrive(bench);
  TaskManagement abort = task_of(lab, bench.channel, task::abort_task);
  abort.managed = hung.tag;
  must_be_aborted(lab, bench.channel, abort, true);
  bench.channel.forget(hung.tag);
  Command next = bench.write();
  next.out = direct(bench.out.at(8 * bench.block(), 8 * bench.block()));
  bench.channel.send(next.encode());
  lab.resume();
  must_be_good(bench.channel.await(next.tag), 0, 0);
  bench.channel.must_be_silent(late_ms);
  const Bytes now = lab.read(bench.channel, 0, 8 * bench.block());
  check(difference(now, bench.out.view(8 * bench.block(), 8 * bench.block())) < 0,
        "the aborted write lies over a newer one");
}

void from_another_channel(Lab& lab, std::uint8_t function) {
  Workbench bench(lab);
  Channel& other = lab.join();
  lab.stall();
  const Command hung = bench.read();
  bench.channel.send(hung.encode());
  let_them_arrive(bench);
  TaskManagement task = task_of(lab, other, function);
  task.managed = hung.tag;
  must_answer(lab, other, task, {task::failed, task::complete});
  bench.channel.forget(hung.tag);
  lab.resume();
  bench.channel.must_be_silent(late_ms);
}

// All credits but one are with commands that hang; the last one is for a task.
void with_the_last_credit(Lab& lab) {
  Workbench bench(lab);
  lab.stall();
  const int window = std::min(bench.channel.granted(), 140) - 1;
  for (int i = 0; i < window; ++i) bench.channel.send(bench.read().encode());
  must_answer(lab, bench.channel, task_of(lab, bench.channel, task::abort_task),
              {task::complete, task::failed});
  lab.resume();
  for (int i = 0; i < window; ++i) must_be_good(bench.channel.await_any(), 0, 0);
}

void disconnect(Lab& lab) {
  Workbench bench(lab);
  lab.stall();
  for (int i = 0; i < 64; ++i)
    bench.channel.send(i % 2 == 0 ? bench.read().encode() : bench.write().encode());
  check(bench.channel.link().disconnect_and_wait(lab.patience()),
        "no answer to a DREQ while the store hangs");
  lab.close_channels();
  const Attempt again = lab.attempt(lab.request());
  check(again.channel != nullptr, "no new login while the store hangs");
  lab.resume();
}

// A SINGLE login takes the place of channels whose commands hang; their answers may not come to it.
void login(Lab& lab) {
  Workbench bench(lab);
  Channel* others[] = {&lab.join(), &lab.join(), &lab.join()};
  lab.stall();
  for (int i = 0; i < 8; ++i) {
    bench.channel.send(bench.read().encode());
    for (Channel* each : others) {
      Command read = bench.read();
      read.tag = each->next_tag();
      each->send(read.encode());
    }
  }
  const Attempt again = lab.attempt(lab.request());
  check(again.channel != nullptr, "no new login while the store hangs");
  check((again.channel->login().flags & login::result_mask) == login::result_terminated,
        "multi-channel result ", again.channel->login().flags & login::result_mask,
        ", should be 1");
  bench.channel.must_end("a SINGLE login");
  for (Channel* each : others) each->must_end("a SINGLE login");
  lab.resume();
  again.channel->must_be_silent(late_ms);
}

const Case cases[] = {
    {"hang/abort_read", "106", "answered while the store hangs, the command never",
     [](Lab& lab) { aborted(lab, task::abort_task, false); }},
    {"hang/abort_write", "106", "answered while the store hangs, the command never",
     [](Lab& lab) { aborted(lab, task::abort_task, true); }},
    {"hang/abort_task_set", "106", "answered while the store hangs, the command never",
     [](Lab& lab) { aborted(lab, task::abort_task_set, false); }},
    {"hang/clear_task_set", "106", "answered while the store hangs, the command never",
     [](Lab& lab) { aborted(lab, task::clear_task_set, false); }},
    {"hang/lun_reset", "106", "answered while the store hangs, the command never",
     [](Lab& lab) { aborted(lab, task::lun_reset, false); }},
    {"hang/tag_is_used_again", "106, P5", "the new command's answer, and no other",
     tag_is_used_again},
    {"hang/old_write_lands_first", "6.1", "a later write is not undone", old_write_lands_first},
    {"hang/abort_from_another_channel", "6.2", "a tag is looked for in the whole nexus",
     [](Lab& lab) { from_another_channel(lab, task::abort_task); }},
    {"hang/abort_task_set_from_another_channel", "6.2", "the set is that of the nexus",
     [](Lab& lab) { from_another_channel(lab, task::abort_task_set); }},
    {"hang/task_with_the_last_credit", "4.3", "answered", with_the_last_credit},
    {"hang/disconnect", "115", "DREP at once, and a new login", disconnect},
    {"hang/login", "87", "old channels end, the new one gets no old answers", login},
};

}  // namespace

std::span<const Case> hang_cases() { return cases; }

}  // namespace conformance
