// How channels end, and what is left of them: nothing.
#include <algorithm>

#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

void idle(Lab& lab) {
  Channel& channel = lab.login();
  check(channel.link().disconnect_and_wait(lab.patience()), "no answer to a DREQ");
}

// Some of these come after the target has seen the DREQ.
void with_commands(Lab& lab, std::size_t bytes_each) {
  Workbench bench(lab);
  Region& memory = lab.memory(bytes_each);
  const auto blocks = static_cast<std::uint16_t>(bytes_each / bench.block());
  const int window = std::min(bench.channel.granted(), 64);
  for (int i = 0; i < window; ++i) {
    Command command = lab.command(
        bench.channel, i % 2 == 0 ? cdb::read_10(8192, blocks) : cdb::write_10(8192, blocks));
    (i % 2 == 0 ? command.in : command.out) = direct(memory.at(0, bytes_each));
    bench.channel.send(command.encode());
  }
  check(bench.channel.link().disconnect_and_wait(lab.patience()), "no answer to a DREQ");
}

// Memory goes away under commands that still use it: RDMA meets a key that is no more.
void memory_goes(Lab& lab) {
  Channel& channel = lab.login();
  {
    Region memory(lab.fabric().pd(), 1 << 20);
    for (int i = 0; i < 16; ++i) {
      Command read = lab.command(channel, cdb::read_10(8192, 2048));
      read.in = direct(memory.at(0, memory.size()));
      channel.send(read.encode());
    }
  }
  channel.must_end("memory that has gone");
}

// As a process does that is killed: no DREQ of its own, no wait for anything.
void vanish(Lab& lab, int count) {
  for (int i = 0; i < count; ++i) {
    LoginRequest request = lab.request();
    request.initiator = Lab::initiator(0x200 + static_cast<std::uint64_t>(i) % 8);
    const Attempt attempt = lab.attempt(request);
    check(attempt.channel != nullptr, "login ", i, " is refused");
    attempt.channel->send(lab.command(*attempt.channel, cdb::test_unit_ready()).encode());
    lab.drop_channels();
  }
}

void vanish_leaves_nothing(Lab& lab) {
  vanish(lab, 20);
  const bool measured = lab.options().pid != 0;
  const std::int64_t before = measured ? lab.target_memory_kib() : 0;
  vanish(lab, 40);
  if (measured) lab.target_memory_must_settle(before + 1024);
}

// A request whose sender does not wait for the answer.
void before_the_answer(Lab& lab) {
  for (int i = 0; i < 15; ++i) {
    Link link(lab.fabric(), {});
    link.request(lab.request().encode());
  }
}

// An initiator that has no receive for what it asked for: the fabric tries again, the target waits.
void without_receives(Lab& lab) {
  if (lab.fabric().iwarp()) skip("a missing receive ends an iWARP connection");
  Terms terms;
  terms.receives = 12;
  Workbench bench(lab, lab.login(lab.request(), terms));
  bench.channel.link().starve(true);
  const int window = std::min(bench.channel.granted(), 60);
  for (int i = 0; i < window; ++i) bench.channel.send(bench.read(1).encode());
  for (int i = 0; i < 6; ++i) must_be_good(bench.channel.await_any(), 0, 0);
  lab.prove_bystander();
  bench.channel.link().starve(false);
  for (int i = 6; i < window; ++i) must_be_good(bench.channel.await_any(), 0, 0);
}

const Case cases[] = {
    {"teardown/idle", "3.6", "DREP", idle},
    {"teardown/with_commands", "15", "DREP, and late requests are discarded",
     [](Lab& lab) { with_commands(lab, 4096); }},
    {"teardown/with_large_commands", "15", "DREP while RDMA goes on",
     [](Lab& lab) { with_commands(lab, 1 << 20); }},
    {"teardown/memory_goes", "40", "the channel ends", memory_goes},
    {"teardown/vanish", "98", "nothing is left of initiators that vanish", vanish_leaves_nothing},
    {"teardown/before_the_answer", "92", "the next login works", before_the_answer},
    {"teardown/without_receives", "100", "others are served, and all is answered in the end",
     without_receives},
};

}  // namespace

std::span<const Case> teardown_cases() { return cases; }

}  // namespace conformance
