// Commands with a buffer for each direction.
#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

// A target may do without; it then says so, and moves nothing.
bool is_refused(Workbench& bench, const Response& response) {
  if (bench.lab.options().strict || response.status == status::good) return false;
  must_be_refused(bench.lab, response,
                  {sense::invalid_field_in_iu, sense::invalid_iu, sense::invalid_field_in_cdb});
  bench.lab.remark("refused lawfully");
  return true;
}

DataBuffer described(Region& region, std::size_t bytes, Format format) {
  if (format == Format::direct) return direct(region.at(0, bytes));
  return indirect({region.at(0, bytes / 2), region.at(bytes / 2, bytes - bytes / 2)});
}

void reads(Lab& lab, Format out, Format in) {
  Workbench bench(lab);
  const std::size_t bytes = 8 * bench.block();
  Command read = bench.read(8);
  read.out = described(bench.out, 1000, out);
  read.in = described(bench.in, bytes, in);
  const Response response = bench.run(read);
  if (is_refused(bench, response)) return bench.must_have_read_nothing();
  must_be_good(response, 1000, 0);
  bench.must_have_read(bytes);
}

void writes(Lab& lab, Format out, Format in) {
  Workbench bench(lab);
  const std::size_t bytes = 8 * bench.block();
  Command write = bench.write(8);
  write.out = described(bench.out, bytes, out);
  write.in = described(bench.in, 1000, in);
  const Response response = bench.run(write);
  if (is_refused(bench, response)) return bench.must_have_written_nothing();
  must_be_good(response, 0, 1000);
  bench.must_have_written(bytes);
  bench.must_have_read_nothing();
}

void ready(Lab& lab) {
  Workbench bench(lab);
  Command ready = bench.ready();
  ready.out = direct(bench.out.at(0, 700));
  ready.in = direct(bench.in.at(0, 300));
  const Response response = bench.run(ready);
  if (!is_refused(bench, response)) must_be_good(response, 700, 300);
  bench.must_have_read_nothing();
}

// XDWRITEREAD(10): what it reads is what was there, XORed with what it writes. Few units have it.
void xor_write(Lab& lab) {
  Workbench bench(lab);
  const std::size_t bytes = 2 * bench.block();
  const Bytes before = lab.read(bench.channel, 0, bytes);
  Command both = lab.command(bench.channel, cdb::transfer_10(0x53, 0, 2));
  both.out = direct(bench.out.at(0, bytes));
  both.in = direct(bench.in.at(0, bytes));
  const Response response = bench.run(both);
  if (response.status != status::good) {
    check(response.status == status::check_condition && sense_of(response).key == 5,
          "neither GOOD nor ILLEGAL REQUEST: ", response.describe());
    bench.must_have_read_nothing();
    bench.must_have_written_nothing();
    return lab.remark("the unit does not know it");
  }
  must_be_good(response, 0, 0);
  bench.must_have_written(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    check(bench.in.view(i, 1)[0] == (before[i] ^ bench.out.view(i, 1)[0]), "byte ", i,
          " of the data-in");
  }
}

void second_descriptor_cut(Lab& lab) {
  Workbench bench(lab);
  Command read = bench.read(8);
  read.out = direct(bench.out.at(0, 1000));
  Bytes iu = read.encode();
  iu.resize(iu.size() - 8);
  must_be_refused(lab, bench.run(iu),
                  {sense::iu_too_short, sense::invalid_iu, sense::invalid_field_in_iu,
                   sense::invalid_field_in_cdb});
  bench.must_have_read_nothing();
}

const char* const other_under = "the CDB's direction moves, the other one is all underflow";

const Case cases[] = {
    {"bidi/read_11", "20", other_under,
     [](Lab& lab) { reads(lab, Format::direct, Format::direct); }},
    {"bidi/read_12", "20", other_under,
     [](Lab& lab) { reads(lab, Format::direct, Format::indirect); }},
    {"bidi/read_21", "20", other_under,
     [](Lab& lab) { reads(lab, Format::indirect, Format::direct); }},
    {"bidi/read_22", "20", other_under,
     [](Lab& lab) { reads(lab, Format::indirect, Format::indirect); }},
    {"bidi/write_11", "20", other_under,
     [](Lab& lab) { writes(lab, Format::direct, Format::direct); }},
    {"bidi/write_22", "20", other_under,
     [](Lab& lab) { writes(lab, Format::indirect, Format::indirect); }},
    {"bidi/no_data_command", "20, 5.6", "both are underflow", ready},
    {"bidi/xor_write", "19", "both directions move; or ILLEGAL REQUEST, and nothing moves",
     xor_write},
    {"bidi/second_descriptor_cut", "36", "5/0e/01, nothing is moved", second_descriptor_cut},
};

}  // namespace

std::span<const Case> bidi_cases() { return cases; }

}  // namespace conformance
