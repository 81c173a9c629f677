// Data that comes within the IU (SRP-2), where the login has granted it.
#include <algorithm>

#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

constexpr std::uint16_t usual_offset =
    68;  // Linux's: behind an indirect descriptor without entries

const std::vector<Sense> too_short = {sense::iu_too_short, sense::invalid_iu,
                                      sense::invalid_field_in_iu, sense::invalid_field_in_cdb};
const std::vector<Sense> mismatch = {sense::invalid_field_in_iu, sense::invalid_field_in_cdb,
                                     sense::invalid_iu};

LoginRequest asking(Lab& lab, std::uint16_t offset) {
  LoginRequest request = lab.request();
  request.flags = login::immediate_requested;
  request.immediate_offset = offset;
  return request;
}

Channel& granted(Lab& lab, std::uint16_t offset = usual_offset) {
  Channel& channel = lab.login(asking(lab, offset));
  if (!channel.grants_immediate()) {
    check(!lab.options().strict, "immediate data at offset ", offset, " is not granted");
    skip("not granted, which is lawful");
  }
  return channel;
}

// The login is good in any case; only the grant is not.
void not_granted(Lab& lab, std::uint16_t offset) {
  Channel& channel = lab.login(asking(lab, offset));
  if (!channel.grants_immediate()) return lab.prove(channel);
  check(!lab.options().strict, "immediate data at offset ", offset, " is granted");
  lab.remark("granted");
}

Command immediate_write(Workbench& bench, std::uint16_t blocks) {
  Command write = bench.write(blocks);
  write.out = {Format::immediate, {}, {}, static_cast<std::uint32_t>(blocks * bench.block())};
  return write;
}

Bytes whole(Workbench& bench, std::uint16_t blocks, std::size_t offset = usual_offset) {
  return immediate_write(bench, blocks)
      .encode_immediate(bench.out.view(0, blocks * bench.block()), offset);
}

void writes(Lab& lab, std::uint16_t offset) {
  Workbench bench(lab, granted(lab, offset));
  const std::size_t most =
      std::min<std::size_t>(lab.request().iu_bytes - offset, Workbench::extent_bytes) /
      bench.block();
  for (const std::size_t blocks : {std::size_t{1}, most / 2, most}) {
    must_be_good(bench.run(whole(bench, static_cast<std::uint16_t>(blocks), offset)), 0, 0);
    bench.must_have_written(blocks * bench.block());
  }
}

void refused_length(Lab& lab, std::uint32_t length) {
  Workbench bench(lab, granted(lab));
  Bytes iu = whole(bench, 1);
  put(iu, offset::buffers, length, 4);
  must_be_refused(lab, bench.run(iu), too_short);
  bench.must_have_written_nothing();
}

// The offset lies beyond what has come.
void no_data_at_all(Lab& lab) {
  Workbench bench(lab, granted(lab));
  for (const std::size_t bytes : {48u, 51u, 52u, 67u, 68u}) {
    Bytes iu = whole(bench, 1);
    iu.resize(bytes);
    must_be_refused(lab, bench.run(iu), too_short);
  }
  bench.must_have_written_nothing();
}

void no_length(Lab& lab) {
  Workbench bench(lab, granted(lab));
  Command ready = bench.ready();
  ready.out = {Format::immediate, {}, {}, 0};
  must_be_good(bench.run(ready.encode_immediate({}, usual_offset)), 0, 0);
}

void tail(Lab& lab) {
  Workbench bench(lab, granted(lab));
  Bytes iu = whole(bench, 1);
  iu.resize(iu.size() + 512, 0xbb);
  must_be_good(bench.run(iu), 0, 0);
  bench.must_have_written(bench.block());
}

void shorter_than_cdb(Lab& lab) {
  Workbench bench(lab, granted(lab));
  Bytes iu = whole(bench, 1);
  put(iu, offset::cdb + 7, 2, 2);
  must_be_refused(lab, bench.run(iu), mismatch);
  bench.must_have_written_nothing();
}

void longer_than_cdb(Lab& lab) {
  Workbench bench(lab, granted(lab));
  Bytes iu = whole(bench, 3);
  put(iu, offset::cdb + 7, 1, 2);
  const Response response = bench.run(iu);
  if (!lab.options().strict && response.status == status::check_condition) {
    must_be_refused(lab, response, mismatch);
    return bench.must_have_written_nothing();
  }
  must_be_good(response, static_cast<std::int64_t>(2 * bench.block()), 0);
  bench.must_have_written(bench.block());
}

// PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY: 24 bytes that no WRITE is.
void parameter_list(Lab& lab) {
  Workbench bench(lab, granted(lab));
  for (const std::uint64_t key : {0x1122334455667788ul, 0ul}) {
    Command reserve = lab.command(bench.channel, Bytes(16));
    reserve.cdb[0] = 0x5f;
    reserve.cdb[1] = 0x06;
    reserve.cdb[8] = 24;
    reserve.out = {Format::immediate, {}, {}, 24};
    Bytes list(24);
    put(list, 8, key, 8);
    const Response response = bench.run(reserve.encode_immediate(list, usual_offset));
    if (sense_of(response) == sense::no_such_operation)
      skip("the unit has no persistent reservations");
    must_be_good(response, 0, 0);
    Command keys = lab.command(bench.channel, Bytes(16));
    keys.cdb[0] = 0x5e;
    keys.cdb[8] = 16;
    keys.in = direct(bench.in.at(0, 16));
    must_be_good(bench.run(keys));
    const bool found = get(bench.in.view(8, 8), 0, 8) == key && get(bench.in.view(4, 4), 0, 4) != 0;
    check(found == (key != 0), "the key is ", found ? "still" : "not", " registered");
  }
}

void many(Lab& lab) {
  Workbench bench(lab, granted(lab));
  for (int i = 0; i < 300; ++i) {
    if (bench.channel.limit() < 4) must_be_good(bench.channel.await_any(), 0, 0);
    bench.channel.send(whole(bench, static_cast<std::uint16_t>(1 + i % 16)));
  }
  while (bench.channel.limit() < bench.channel.granted()) {
    must_be_good(bench.channel.await_any(), 0, 0);
  }
  bench.must_have_written(16 * bench.block());
}

// Every receive is held by a command that cannot go on; a task must come through all the same.
void held_by_a_hung_store(Lab& lab) {
  Workbench bench(lab, granted(lab));
  lab.stall();
  const int window = std::min(bench.channel.granted(), 140) - 1;
  for (int i = 0; i < window; ++i) bench.channel.send(whole(bench, 8));
  TaskManagement task;
  task.tag = bench.channel.next_tag();
  task.lun = lab.lun();
  task.function = task::abort_task;
  task.managed = ~Tag{0};
  const Response response = bench.channel.run(task.encode());
  check(response.response.size() == 4, "no answer to a task: ", response.describe());
  lab.resume();
  for (int i = 0; i < window; ++i) must_be_good(bench.channel.await_any(), 0, 0);
  bench.must_have_written(8 * bench.block());
}

const char* const cut = "5/0e/01, nothing is written";

const Case cases[] = {
    {"immediate/at_68", "1.7", "granted, and written", [](Lab& lab) { writes(lab, 68); }},
    {"immediate/at_52", "2.4", "granted, and written", [](Lab& lab) { writes(lab, 52); }},
    {"immediate/at_512", "2.4", "granted, and written", [](Lab& lab) { writes(lab, 512); }},
    {"immediate/at_0", "2.4", "not granted, the login is good",
     [](Lab& lab) { not_granted(lab, 0); }},
    {"immediate/at_48", "2.4", "no room for a length: not granted, the login is good",
     [](Lab& lab) { not_granted(lab, 48); }},
    {"immediate/at_70", "2.4", "not aligned: not granted, the login is good",
     [](Lab& lab) { not_granted(lab, 70); }},
    {"immediate/at_65532", "2.4", "beyond the IU: not granted, the login is good",
     [](Lab& lab) { not_granted(lab, 65532); }},
    {"immediate/longer_than_iu", "68", cut, [](Lab& lab) { refused_length(lab, 1024); }},
    {"immediate/length_wraps", "69", cut,
     [](Lab& lab) {
       refused_length(lab, 0xffffffbc);
       lab.close_channels();
       refused_length(lab, 0xffffffff);
     }},
    {"immediate/no_data_at_all", "68", cut, no_data_at_all},
    {"immediate/no_length", "70", "GOOD, no data", no_length},
    {"immediate/tail", "71", "what follows the data is ignored", tail},
    {"immediate/shorter_than_cdb", "73, 44", "5/0e/03, nothing is written", shorter_than_cdb},
    {"immediate/longer_than_cdb", "73, 46", "the CDB's bytes and DOUNDER; or 5/0e/03",
     longer_than_cdb},
    {"immediate/parameter_list", "74", "like any other data-out", parameter_list},
    {"immediate/many", "75", "all are written, the request limit comes back", many},
    {"immediate/held_by_a_hung_store", "75", "a task is accepted while every receive is held",
     held_by_a_hung_store},
};

}  // namespace

std::span<const Case> immediate_cases() { return cases; }

}  // namespace conformance
