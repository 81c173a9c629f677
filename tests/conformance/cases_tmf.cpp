// Task management while the store works.
#include <algorithm>

#include "cases.h"
#include "check.h"
#include "tasks.h"

namespace conformance {

namespace {

void idle(Lab& lab, std::uint8_t function, const std::vector<std::uint8_t>& lawful) {
  Channel& channel = lab.login();
  must_answer(lab, channel, task_of(lab, channel, function), lawful);
}

void absent_unit(Lab& lab) {
  Channel& channel = lab.login();
  TaskManagement reset = task_of(lab, channel, task::lun_reset);
  reset.lun = {0, 0xfe};
  const std::uint8_t code = run_task(channel, reset);
  check(code == task::failed || code == task::invalid_fields, "code ", unsigned{code},
        ", should be 5 or 2");
}

void unknown_functions(Lab& lab) {
  Channel& channel = lab.login();
  for (const unsigned function : {0x00u, 0x03u, 0x10u, 0x20u, 0x80u, 0xffu}) {
    must_answer(lab, channel, task_of(lab, channel, static_cast<std::uint8_t>(function)),
                {task::unsupported, task::failed, task::invalid_fields});
  }
}

void of_an_answered_command(Lab& lab) {
  Channel& channel = lab.login();
  const Command ready = lab.command(channel, cdb::test_unit_ready());
  must_be_good(channel.run(ready.encode()));
  TaskManagement abort = task_of(lab, channel, task::abort_task);
  abort.managed = ready.tag;
  must_answer(lab, channel, abort, {task::complete, task::failed});
}

void reserved_ones(Lab& lab) {
  Channel& channel = lab.login();
  Bytes iu = task_of(lab, channel, task::abort_task).encode();
  iu[1] = 0xf9;
  for (const std::size_t at : {2u, 7u, 16u, 19u, 28u, 29u, 31u, 40u, 47u}) iu[at] = 0xff;
  check(channel.run(iu).response.size() == 4, "no response data");
}

// Command and task race. Either the command's response comes, before that of the task, or never;
// and after the task's nothing may be written into the initiator's memory any more.
void races(Lab& lab, bool out, std::size_t blocks, int rounds) {
  Workbench bench(lab);
  Region& memory = lab.memory(blocks * bench.block());
  for (int round = 0; round < rounds; ++round) {
    Command command =
        lab.command(bench.channel, out ? cdb::write_10(8192, static_cast<std::uint16_t>(blocks))
                                       : cdb::read_10(8192, static_cast<std::uint16_t>(blocks)));
    (out ? command.out : command.in) = direct(memory.at(0, memory.size()));
    bench.channel.send(command.encode());
    TaskManagement abort = task_of(lab, bench.channel, task::abort_task);
    abort.managed = command.tag;
    must_answer(lab, bench.channel, abort, {task::complete, task::failed});
    if (bench.channel.is_owed(command.tag)) bench.channel.forget(command.tag);
    memory.fill(Workbench::filler);
    bench.channel.must_be_silent(20);
    const Bytes untouched(memory.size(), Workbench::filler);
    check(difference(untouched, memory.view(0, memory.size())) < 0,
          "memory is written after the task was answered");
  }
}

// On the task's own channel what was sent before it has been answered, or never is. On the other
// one commands may still be under way when the task is looked at, and are served then: only that
// its request limit comes back is proved, as after each case.
void set_with_commands(Lab& lab, std::uint8_t function) {
  Workbench bench(lab);
  Channel& other = lab.join();
  const int each = std::min(bench.channel.granted() / 2, 30);
  for (int i = 0; i < each; ++i) {
    bench.channel.send(bench.read().encode());
    Command there = bench.read();
    there.tag = other.next_tag();
    other.send(there.encode());
  }
  const std::uint8_t code = must_answer(lab, bench.channel, task_of(lab, bench.channel, function),
                                        {task::complete, task::unsupported, task::failed});
  if (code == task::complete) bench.channel.forget_all();
}

void then_disconnect(Lab& lab) {
  Workbench bench(lab);
  for (int i = 0; i < 16; ++i) bench.channel.send(bench.read().encode());
  bench.channel.send(task_of(lab, bench.channel, task::lun_reset).encode());
  check(bench.channel.link().disconnect_and_wait(lab.patience()), "no answer to a DREQ");
}

// As Linux sends it: a task_tag that no command has.
void lun_reset_of_linux(Lab& lab) {
  Channel& channel = lab.login();
  TaskManagement reset = task_of(lab, channel, task::lun_reset);
  reset.tag = 0x80000001;
  reset.managed = 0xffffffff;
  must_answer(lab, channel, reset, {task::complete});
}

const char* const complete = "code 0";

const Case cases[] = {
    {"tmf/abort_unknown_tag", "102, 113", "code 0: the task is not there",
     [](Lab& lab) {
       idle(lab, task::abort_task, {task::complete, task::failed});
     }},
    {"tmf/abort_answered_command", "102", "code 0", of_an_answered_command},
    {"tmf/abort_task_set", "6.2", complete,
     [](Lab& lab) {
       idle(lab, task::abort_task_set, {task::complete, task::unsupported});
     }},
    {"tmf/clear_task_set", "6.2", complete,
     [](Lab& lab) {
       idle(lab, task::clear_task_set, {task::complete, task::unsupported});
     }},
    {"tmf/lun_reset", "6.2", complete,
     [](Lab& lab) { idle(lab, task::lun_reset, {task::complete}); }},
    {"tmf/lun_reset_of_linux", "6.1", complete, lun_reset_of_linux},
    {"tmf/absent_unit", "109", "code 5 or 2", absent_unit},
    {"tmf/unknown_functions", "110", "code 4", unknown_functions},
    {"tmf/clear_aca", "111", "code 4, there is no ACA",
     [](Lab& lab) {
       idle(lab, task::clear_aca, {task::unsupported, task::complete, task::failed});
     }},
    {"tmf/reserved_ones", "12", "reserved bits are ignored", reserved_ones},
    {"tmf/races_with_small_read", "103", "one response at most, and before the task's",
     [](Lab& lab) { races(lab, false, 1, 30); }},
    {"tmf/races_with_large_read", "105", "no RDMA after the task's response",
     [](Lab& lab) { races(lab, false, 2048, 10); }},
    {"tmf/races_with_large_write", "104", "no response after the task's",
     [](Lab& lab) { races(lab, true, 2048, 10); }},
    {"tmf/lun_reset_with_commands", "108", "commands of all channels are answered or gone",
     [](Lab& lab) { set_with_commands(lab, task::lun_reset); }},
    {"tmf/abort_task_set_with_commands", "6.2", "commands of all channels are answered or gone",
     [](Lab& lab) { set_with_commands(lab, task::abort_task_set); }},
    {"tmf/clear_task_set_with_commands", "6.2", "commands of all channels are answered or gone",
     [](Lab& lab) { set_with_commands(lab, task::clear_task_set); }},
    {"tmf/then_disconnect", "114", "a clean end", then_disconnect},
};

}  // namespace

std::span<const Case> tmf_cases() { return cases; }

}  // namespace conformance
