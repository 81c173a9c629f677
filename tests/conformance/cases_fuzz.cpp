// Good requests with a few bits wrong. Nobody says what a target must answer: only that it answers
// or ends the channel, and is none the worse.
#include <cstring>
#include <memory>
#include <random>

#include "cases.h"
#include "check.h"
#include "tasks.h"

namespace conformance {

namespace {

constexpr int rounds = 250;

Bytes seed_request(Lab& lab, Workbench& bench, std::mt19937& random) {
  const auto some = [&](unsigned below) { return random() % below; };
  Command command;
  switch (some(6)) {
    case 0: command = bench.read(static_cast<std::uint16_t>(1 + some(16))); break;
    case 1: command = bench.write(static_cast<std::uint16_t>(1 + some(16))); break;
    case 2: command = bench.inquiry(static_cast<std::uint16_t>(some(256))); break;
    case 3: command = bench.ready(); break;
    case 4: {
      TaskManagement task = task_of(lab, bench.channel, static_cast<std::uint8_t>(1u << some(7)));
      return task.encode();
    }
    default: {
      command = some(2) == 0 ? bench.read(8) : bench.write(8);
      DataBuffer& buffer = command.in.format != Format::none ? command.in : command.out;
      const Region& region = command.in.format != Format::none ? bench.in : bench.out;
      buffer = indirect({region.at(0, 1024), region.at(8192, 1024), region.at(4096, 2048)});
    }
  }
  return command.encode();
}

// The tag stays, so that the answer is known; so does the CDB's operation: a lucky flip may not
// format the disk. IUs too short for a tag are among the cases of framing.
void mutate(Bytes& iu, std::mt19937& random) {
  const unsigned flips = 1 + static_cast<unsigned>(random()) % 4;
  for (unsigned i = 0; i < flips; ++i) {
    const std::size_t at = random() % iu.size();
    const bool kept = at == 0 || (at >= offset::tag && at < offset::tag + 8) || at == offset::cdb;
    if (!kept) iu[at] = static_cast<std::uint8_t>(iu[at] ^ (1u << random() % 8));
  }
  constexpr std::size_t shortest = offset::tag + sizeof(Tag);
  if (random() % 16 == 0) iu.resize(shortest + random() % (iu.size() + 1 - shortest));
  if (random() % 16 == 0) iu.resize(iu.size() + random() % 64, static_cast<std::uint8_t>(random()));
}

void mutated(Lab& lab, std::uint32_t seed) {
  std::mt19937 random(seed);
  auto bench = std::make_unique<Workbench>(lab);
  int ended = 0;
  for (int i = 0; i < rounds; ++i) {
    Bytes iu = seed_request(lab, *bench, random);
    Tag tag = 0;
    std::memcpy(&tag, iu.data() + offset::tag, sizeof tag);
    mutate(iu, random);
    Channel& channel = bench->channel;
    channel.send(iu);
    const bool answered = channel.await_until(tag, lab.patience()).has_value();
    check(answered || channel.link().ended(), "round ", i,
          ": neither an answer nor an end: ", to_hex(iu));
    if (answered) continue;
    ++ended;
    lab.close_channels();
    bench = std::make_unique<Workbench>(lab);
  }
  lab.remark(text(rounds, " requests, ", ended, " of them ended their channel"));
}

const Case cases[] = {
    {"fuzz/seed_1", "125", "answered, or the channel ends", [](Lab& lab) { mutated(lab, 1); }},
    {"fuzz/seed_2", "125", "answered, or the channel ends", [](Lab& lab) { mutated(lab, 2); }},
};

}  // namespace

std::span<const Case> fuzz_cases() { return cases; }

}  // namespace conformance
