// Task attributes as an order of execution (SAM).
#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

constexpr int while_ms = 1000;  // how long a command is watched that must not be answered

Command with(Command command, std::uint8_t attribute) {
  command.attribute = attribute;
  return command;
}

void must_wait(Channel& channel, Tag tag, const char* what) {
  check(!channel.await_until(tag, in_milliseconds(while_ms)).has_value(), what);
}

// With a store that hangs it is certain who is first.
void ordered_waits(Lab& lab) {
  Workbench bench(lab);
  Channel& channel = bench.channel;
  lab.stall();
  const Command first = bench.read();
  const Command ordered = with(bench.ready(), attribute::ordered);
  const Command after = bench.ready();
  for (const Command* each : {&first, &ordered, &after}) channel.send(each->encode());
  must_wait(channel, ordered.tag, "ORDERED overtakes an older SIMPLE command");
  must_wait(channel, after.tag, "SIMPLE overtakes an older ORDERED command");
  lab.resume();
  for (const Command* each : {&first, &ordered, &after}) must_be_good(channel.await(each->tag));
}

void head_of_queue_goes_ahead(Lab& lab) {
  Workbench bench(lab);
  Channel& channel = bench.channel;
  lab.stall();
  const Command first = bench.read();
  const Command ordered = with(bench.ready(), attribute::ordered);
  const Command head = with(bench.ready(), attribute::head_of_queue);
  for (const Command* each : {&first, &ordered, &head}) channel.send(each->encode());
  must_be_good(channel.await(head.tag));
  check(channel.is_owed(ordered.tag), "ORDERED overtakes an older SIMPLE command");
  lab.resume();
  for (const Command* each : {&first, &ordered}) must_be_good(channel.await(each->tag));
}

// The order holds for all channels of a nexus.
void ordered_waits_for_other_channels(Lab& lab) {
  Workbench bench(lab);
  Channel& other = lab.join();
  lab.stall();
  const Command first = bench.read();
  bench.channel.send(first.encode());
  // Nothing orders two channels but time: a command that needs no store is answered after `first`
  // has come.
  must_be_good(bench.run(bench.ready()));
  Command ordered = with(lab.command(other, cdb::test_unit_ready()), attribute::ordered);
  other.send(ordered.encode());
  must_wait(other, ordered.tag, "ORDERED overtakes a SIMPLE command of another channel");
  lab.resume();
  must_be_good(bench.channel.await(first.tag));
  must_be_good(other.await(ordered.tag));
}

void ordered_writes(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  constexpr std::size_t writes = 64;
  std::vector<Tag> tags;
  for (std::size_t i = 0; i < writes; ++i) {
    Command write = with(bench.write(1), attribute::ordered);
    write.out = direct(bench.out.at(i * block, block));
    tags.push_back(write.tag);
    bench.channel.send(write.encode());
  }
  for (const Tag tag : tags) {
    const Response response = bench.channel.await_any();
    must_be_good(response, 0, 0);
    check(response.tag == tag, "ORDERED commands are answered in another order");
  }
  const Bytes now = lab.read(bench.channel, 0, block);
  check(difference(now, bench.out.view((writes - 1) * block, block)) < 0,
        "the disk does not have what the last write wrote");
}

void mixture(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  for (std::size_t round = 0; round < 20; ++round) {
    Command old = bench.write(1), ordered = with(bench.write(1), attribute::ordered),
            read = bench.read(1);
    old.out = direct(bench.out.at(0, block));
    ordered.out = direct(bench.out.at((1 + round) * block, block));
    for (const Command* each : {&old, &ordered, &read}) bench.channel.send(each->encode());
    for (const Command* each : {&old, &ordered, &read}) {
      must_be_good(bench.channel.await(each->tag), 0, 0);
    }
    check(difference(bench.in.view(0, block), bench.out.view((1 + round) * block, block)) < 0,
          "round ", round, ": a read behind an ORDERED write does not see it");
  }
}

const Case cases[] = {
    {"attribute/ordered_waits", "1.7, SAM",
     "ORDERED after all older ones, all younger ones after it", ordered_waits},
    {"attribute/head_of_queue_goes_ahead", "1.7, SAM", "HEAD OF QUEUE waits for nobody",
     head_of_queue_goes_ahead},
    {"attribute/ordered_waits_for_other_channels", "2.6, SAM", "the task set is the nexus's",
     ordered_waits_for_other_channels},
    {"attribute/ordered_writes", "SAM", "carried out in order", ordered_writes},
    {"attribute/mixture", "SAM", "a read behind an ORDERED write sees it", mixture},
};

}  // namespace

std::span<const Case> attribute_cases() { return cases; }

}  // namespace conformance
