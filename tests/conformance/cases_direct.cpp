// Direct data buffer descriptors: how much is moved, where to, and what the residuals say.
#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

const std::vector<Sense> mismatch = {sense::invalid_field_in_iu, sense::invalid_field_in_cdb,
                                     sense::invalid_iu};
const std::vector<Sense> too_short = {sense::iu_too_short, sense::invalid_iu,
                                      sense::invalid_field_in_iu, sense::invalid_field_in_cdb};

void iu_ends_early(Lab& lab, bool out) {
  Workbench bench(lab);
  for (std::size_t bytes = 48; bytes < 64; ++bytes) {
    Bytes iu = (out ? bench.write() : bench.read()).encode();
    iu.resize(bytes);
    must_be_refused(lab, bench.run(iu), too_short);
  }
  bench.must_have_read_nothing();
  bench.must_have_written_nothing();
}

// No data wanted: a buffer of any length is all underflow.
void ready_with_buffer(Lab& lab) {
  Workbench bench(lab);
  for (const std::uint32_t bytes : {0u, 4096u}) {
    Command ready = bench.ready();
    ready.in = direct(bench.in.at(0, bytes));
    must_be_good(bench.run(ready), 0, bytes);
    ready = bench.ready();
    ready.out = direct(bench.out.at(0, bytes));
    must_be_good(bench.run(ready), bytes, 0);
  }
  bench.must_have_read_nothing();
}

void read_into_nothing(Lab& lab) {
  Workbench bench(lab);
  const auto block = static_cast<std::int64_t>(bench.block());
  Command read = bench.read(1);
  read.in = direct(bench.in.at(0, 0));
  must_be_good(bench.run(read), 0, -block);
  read = bench.read(1);
  read.in = {};
  const Response response = bench.run(read);
  // Without a buffer there may be no direction to have a residual in.
  if (response.status != status::good) must_be_refused(lab, response, mismatch);
  bench.must_have_read_nothing();
}

// A read that has no buffer of its direction: refused, or all of it is overflow.
void out_buffer_for_read(Lab& lab) {
  Workbench bench(lab);
  const auto bytes = 8 * static_cast<std::int64_t>(bench.block());
  Command read = bench.read(8);
  read.out = direct(bench.out.at(0, static_cast<std::size_t>(bytes)));
  read.in = {};
  const Response response = bench.run(read);
  if (response.status == status::good) {
    must_be_good(response, bytes, -bytes);
  } else {
    must_be_refused(lab, response, mismatch);
  }
  bench.must_have_written_nothing();
}

void huge_inquiry(Lab& lab) {
  Workbench bench(lab);
  const std::int64_t before = lab.options().pid != 0 ? lab.target_memory_kib() : 0;
  Command inquiry = bench.inquiry(36);
  inquiry.in.descriptors[0].bytes = 0xffffffff;
  const Response response = bench.run(inquiry);
  must_be_good(response);
  check((response.flags & flag::in_under) != 0 && response.in_residual == 0xffffffff - 36,
        "residual: ", response.describe());
  if (lab.options().pid == 0) return;
  const std::int64_t grown = lab.target_memory_kib() - before;
  check(grown < 64 << 10, "36 bytes into a buffer of 4 GiB cost the target ", grown, " KiB");
}

// Faults of the fabric: the channel breaks, and the target may not be harmed.
void breaks(Lab& lab, Command (*make)(Workbench&)) {
  Workbench bench(lab);
  Channel& other = lab.join();
  bench.channel.send(make(bench).encode());
  bench.channel.must_end("remote access error");
  Workbench after(lab, other);
  lab.prove(other);
}

Command with_key(Command command, std::uint32_t change) {
  for (DataBuffer* buffer : {&command.in, &command.out}) {
    for (auto& descriptor : buffer->descriptors) descriptor.key ^= change;
  }
  return command;
}

void write_faults(Lab& lab) {
  Workbench bench(lab);
  bench.channel.send(with_key(bench.write(), 0x5a5a00).encode());
  bench.channel.must_end("remote access error");
  const Bytes now = lab.read(lab.login(), 0, Workbench::extent_bytes);
  check(difference(now, pattern(Workbench::extent_bytes, 1)) < 0, "the medium has changed");
}

void short_read_buffer(Lab& lab) {
  Workbench bench(lab);
  const auto block = static_cast<std::int64_t>(bench.block());
  for (const std::uint32_t bytes : {std::uint32_t(7 * block), 1u, std::uint32_t(block) + 1}) {
    bench.in.fill(Workbench::filler);
    Command read = bench.read(8);
    read.in = direct(bench.in.at(0, bytes));
    must_be_good(bench.run(read), 0, bytes - 8 * block);
    bench.must_have_read(bytes);
  }
}

// Refused, or the truncated data is written and the overflow is told.
void short_write_buffer(Lab& lab) {
  Workbench bench(lab);
  const auto block = static_cast<std::int64_t>(bench.block());
  Command write = bench.write(8);
  write.out = direct(bench.out.at(0, static_cast<std::size_t>(7 * block)));
  const Response response = bench.run(write);
  if (!lab.options().strict && response.status == status::good) {
    must_be_good(response, -block, 0);
    bench.must_have_written(static_cast<std::size_t>(7 * block));
    return lab.remark("truncated");
  }
  must_be_refused(lab, response, mismatch);
  bench.must_have_written_nothing();
}

void long_read_buffer(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  Command read = bench.read(2);
  read.in = direct(bench.in.at(0, 8 * block));
  must_be_good(bench.run(read), 0, static_cast<std::int64_t>(6 * block));
  bench.must_have_read(2 * block);
}

// Only what the CDB says is written, or the command is refused.
void long_write_buffer(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  Command write = bench.write(2);
  write.out = direct(bench.out.at(0, 8 * block));
  const Response response = bench.run(write);
  if (!lab.options().strict && response.status == status::check_condition) {
    must_be_refused(lab, response, mismatch);
    return bench.must_have_written_nothing();
  }
  must_be_good(response, static_cast<std::int64_t>(6 * block), 0);
  bench.must_have_written(2 * block);
}

void odd_places(Lab& lab) {
  Workbench bench(lab);
  for (const std::size_t at : {1u, 3u, 4093u}) {
    Command write = bench.write(8);
    write.out = direct(bench.out.at(at, 8 * bench.block()));
    must_be_good(bench.run(write), 0, 0);
    Command read = bench.read(8);
    read.in = direct(bench.in.at(at, 8 * bench.block()));
    must_be_good(bench.run(read), 0, 0);
    const std::ptrdiff_t differs =
        difference(bench.out.view(at, 8 * bench.block()), bench.in.view(at, 8 * bench.block()));
    check(differs < 0, "at offset ", at, ", byte ", differs, " is not what was written");
    check(bench.in.view(at - 1, 1)[0] == Workbench::filler, "a byte before the buffer is written");
    bench.in.fill(Workbench::filler);
  }
}

void parameter_data(Lab& lab) {
  Workbench bench(lab);
  for (const unsigned allocation : {0u, 1u, 5u, 35u}) {
    bench.in.fill(Workbench::filler);
    Command inquiry = bench.inquiry(static_cast<std::uint16_t>(allocation));
    inquiry.in = direct(bench.in.at(0, 96));
    must_be_good(bench.run(inquiry), 0, 96 - std::int64_t{allocation});
    const Bytes rest(96, Workbench::filler);
    check(difference(bench.in.view(allocation, 96), rest) < 0, "INQUIRY of ", allocation,
          " bytes writes more than that");
  }
}

// The allocation length is larger than the buffer: the CDB wants more than there is room for.
void short_parameter_buffer(Lab& lab) {
  Workbench bench(lab);
  Command inquiry = bench.inquiry(36);
  inquiry.in = direct(bench.in.at(0, 5));
  must_be_good(bench.run(inquiry));
  check(bench.in.view(5, 1)[0] == Workbench::filler, "more is written than the buffer holds");
  check(bench.in.view(0, 1)[0] == 0, "the unit is no disk");
}

void whole_window_of_reads(Lab& lab) {
  Workbench bench(lab);
  const int window = std::min(bench.channel.granted(), 100);
  for (int i = 0; i < window; ++i) bench.channel.send(bench.read(8).encode());
  for (int i = 0; i < window; ++i) must_be_good(bench.channel.await_any(), 0, 0);
  bench.must_have_read(8 * bench.block());
}

const char* const ends = "the channel ends, others stay";

const Case cases[] = {
    {"direct/iu_ends_in_descriptor_in", "36", "5/0e/01, nothing is moved",
     [](Lab& lab) { iu_ends_early(lab, false); }},
    {"direct/iu_ends_in_descriptor_out", "36", "5/0e/01, nothing is moved",
     [](Lab& lab) { iu_ends_early(lab, true); }},
    {"direct/out_buffer_for_read", "21", "5/0e/03; or GOOD with DIOVER: nothing is moved",
     out_buffer_for_read},
    refusal(
        "direct/in_buffer_for_write", "22", "5/0e/03, nothing is moved",
        [](Workbench& bench) {
          Command write = bench.write();
          write.out = {};
          write.in = direct(bench.in.at(0, 8 * bench.block()));
          return write.encode();
        },
        mismatch),
    refusal(
        "direct/no_buffer_for_write", "22", "5/0e/03, nothing is written",
        [](Workbench& bench) {
          Command write = bench.write();
          write.out = {};
          return write.encode();
        },
        mismatch),
    {"direct/ready_with_buffer", "37, 5.6", "GOOD, all of it is underflow", ready_with_buffer},
    {"direct/read_into_nothing", "37", "GOOD and DIOVER, nothing is moved", read_into_nothing},
    {"direct/huge_inquiry", "38", "GOOD and DIUNDER; no memory for what the CDB does not ask for",
     huge_inquiry},
    {"direct/address_wraps", "39", ends,
     [](Lab& lab) {
       breaks(lab, [](Workbench& bench) {
         Command read = bench.read(16);
         read.in.descriptors[0].address = 0xfffffffffffff000;
         return read;
       });
     }},
    {"direct/wrong_key_in", "40", ends,
     [](Lab& lab) {
       breaks(lab, [](Workbench& bench) { return with_key(bench.read(), 0x5a5a00); });
     }},
    {"direct/wrong_key_out", "41", "the channel ends, the medium is unchanged", write_faults},
    {"direct/read_only_memory", "42", ends,
     [](Lab& lab) {
       breaks(lab, [](Workbench& bench) {
         Command read = bench.read();
         read.in = direct(bench.lab.memory(4096, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ)
                              .at(0, 8 * bench.block()));
         return read;
       });
     }},
    {"direct/beyond_memory", "40", ends,
     [](Lab& lab) {
       breaks(lab, [](Workbench& bench) {
         Command write = bench.write();
         write.out.descriptors[0].address += Workbench::memory_bytes - 512;
         return write;
       });
     }},
    {"direct/short_read_buffer", "43", "GOOD and DIOVER, the buffer is filled", short_read_buffer},
    {"direct/short_write_buffer", "44", "5/0e/03 and nothing is written; or truncated, with DOOVER",
     short_write_buffer},
    {"direct/long_read_buffer", "43, 5.5", "GOOD and DIUNDER, the rest of the buffer is untouched",
     long_read_buffer},
    {"direct/long_write_buffer", "46", "the CDB's bytes are written and DOUNDER; or 5/0e/03",
     long_write_buffer},
    {"direct/odd_places", "47", "bytes need no alignment", odd_places},
    {"direct/parameter_data", "5.6", "no more than the allocation length, the rest is underflow",
     parameter_data},
    {"direct/short_parameter_buffer", "43", "GOOD, no more than the buffer",
     short_parameter_buffer},
    {"direct/whole_window_of_reads", "98", "all are answered", whole_window_of_reads},
};

}  // namespace

std::span<const Case> direct_cases() { return cases; }

}  // namespace conformance
