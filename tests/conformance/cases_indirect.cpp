// Indirect data buffer descriptors whose table is in the IU.
#include <algorithm>

#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

const std::vector<Sense> bad_field = {sense::invalid_field_in_iu, sense::invalid_field_in_cdb,
                                      sense::invalid_iu};
const std::vector<Sense> too_short = {sense::iu_too_short, sense::invalid_iu,
                                      sense::invalid_field_in_iu, sense::invalid_field_in_cdb};

// `bytes` of a region in so many pieces, each of another length than its neighbours, with gaps of 8
// bytes.
std::vector<Descriptor> pieces(const Region& region, std::size_t bytes, std::size_t count) {
  std::vector<Descriptor> list;
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t even = (bytes / count) & ~std::size_t{3};
    std::size_t piece = even + (i % 2 == 0 ? 2 : 0) - (i % 2 == 1 ? 2 : 0);
    if (i == count - 1) piece = bytes;
    list.push_back(region.at(at, piece));
    at += piece + 8;
    bytes -= piece;
  }
  return list;
}

Bytes gathered(const Region& region, const std::vector<Descriptor>& list) {
  Bytes all;
  const std::uint64_t base = region.at(0, 0).address;
  for (const auto& piece : list) append(all, region.view(piece.address - base, piece.bytes));
  return all;
}

// Written from pieces, read back into others.
void moves_in_pieces(Lab& lab, std::size_t count) {
  Workbench bench(lab);
  const std::size_t bytes = 16 * bench.block();
  Command write = bench.write(16);
  const auto from = pieces(bench.out, bytes, count);
  write.out = indirect(from);
  must_be_good(bench.run(write), 0, 0);
  Command read = bench.read(16);
  const auto to = pieces(bench.in, bytes, count);
  read.in = indirect(to);
  must_be_good(bench.run(read), 0, 0);
  const std::ptrdiff_t at = difference(gathered(bench.out, from), gathered(bench.in, to));
  check(at < 0, count, " pieces: byte ", at, " read is not the one written");
  for (std::size_t i = 0; i + 1 < to.size(); ++i) {
    const auto gap = to[i].address + to[i].bytes - bench.in.at(0, 0).address;
    check(bench.in.view(gap, 1)[0] == Workbench::filler, "the gap behind piece ", i, " is written");
  }
}

// READ or WRITE in two pieces, whose IU a case then spoils: the header is at 48, the entries are at
// 68 and 84.
Bytes in_two(Workbench& bench, bool out = false) {
  Command command = out ? bench.write() : bench.read();
  (out ? command.out : command.in) =
      indirect(pieces(out ? bench.out : bench.in, 8 * bench.block(), 2));
  return command.encode();
}

constexpr std::size_t table_bytes = 60, first_length = 80, header_end = 68;

void ends_in_header(Lab& lab) {
  Workbench bench(lab);
  for (std::size_t bytes = 48; bytes < header_end; bytes += 3) {
    Bytes iu = in_two(bench);
    iu.resize(bytes);
    must_be_refused(lab, bench.run(iu), too_short);
  }
  bench.must_have_read_nothing();
}

void table_lengths(Lab& lab, bool out) {
  Workbench bench(lab);
  for (const std::uint32_t bytes : {15u, 17u, 40u, 31u}) {
    Bytes iu = in_two(bench, out);
    put(iu, table_bytes, bytes, 4);
    must_be_refused(lab, bench.run(iu), bad_field);
  }
  bench.must_have_read_nothing();
  bench.must_have_written_nothing();
}

void count_beyond_table(Lab& lab) {
  Workbench bench(lab);
  Bytes iu = in_two(bench);
  append(iu, View(iu).last(16));  // a third entry, which the table's length does not cover
  iu[offset::in_count] = 3;
  must_be_good(bench.run(iu), 0, 0);
  for (const auto& piece : pieces(bench.in, 8 * bench.block(), 2)) {
    check(bench.in.view(piece.address - bench.in.at(0, 0).address, 1)[0] != Workbench::filler ||
              piece.bytes == 0,
          "a piece is not filled");
  }
}

// The sum of the entries is more than the total: only the total is the buffer.
void total_below_sum(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  Command read = bench.read(4);
  read.in = indirect({bench.in.at(0, 2 * block), bench.in.at(2 * block, 6 * block)});
  read.in.total = static_cast<std::uint32_t>(4 * block);
  const Response response = bench.run(read);
  if (response.status != status::good) {
    must_be_refused(lab, response, bad_field);
    return bench.must_have_read_nothing();
  }
  must_be_good(response, 0, 0);
  bench.must_have_read(4 * block);
}

void no_total(Lab& lab) {
  Workbench bench(lab);
  Command ready = bench.ready();
  ready.in = indirect({bench.in.at(0, 512)});
  ready.in.total = 0;
  must_be_good(bench.run(ready), 0, 0);
  bench.must_have_read_nothing();
}

void huge_lengths(Lab& lab) {
  Workbench bench(lab);
  Command read = bench.read(8);
  Descriptor huge = bench.in.at(0, 0);
  huge.bytes = 0xffffffff;
  read.in = indirect(std::vector<Descriptor>(100, huge));
  read.in.total = 0xffffffff;
  const Response response = bench.run(read);
  if (response.status == status::good) {
    must_be_good(response, 0, 0xffffffff - 8 * static_cast<std::int64_t>(bench.block()));
    return bench.must_have_read(8 * bench.block());
  }
  must_be_refused(lab, response, bad_field);
  bench.must_have_read_nothing();
}

void same_entry_thrice(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  Command write = bench.write(3);
  write.out = indirect(std::vector<Descriptor>(3, bench.out.at(0, block)));
  must_be_good(bench.run(write), 0, 0);
  const Bytes now = lab.read(bench.channel, 0, 3 * block);
  for (std::size_t i = 0; i < 3; ++i) {
    check(difference(View(now).subspan(i * block, block), bench.out.view(0, block)) < 0, "block ",
          i);
  }
  Command read = bench.read(2);
  read.in = indirect({bench.in.at(0, block), bench.in.at(block / 2, block)});
  must_be_good(bench.run(read), 0, 0);
}

void empty_entries(Lab& lab) {
  Workbench bench(lab);
  const std::size_t block = bench.block();
  Command read = bench.read(2);
  Descriptor nowhere{0, 0, 0};
  read.in = indirect({nowhere, bench.in.at(0, block), nowhere, bench.in.at(block, block), nowhere});
  must_be_good(bench.run(read), 0, 0);
  bench.must_have_read(2 * block);
}

// Old initiators put the count of the one direction into the field of the other.
void count_in_other_field(Lab& lab) {
  Workbench bench(lab);
  Bytes iu = in_two(bench);
  std::swap(iu[offset::in_count], iu[offset::out_count]);
  must_be_good(bench.run(iu), 0, 0);
}

void one_bad_key(Lab& lab) {
  Workbench bench(lab);
  Channel& other = lab.join();
  Command write = bench.write(16);
  write.out = indirect(pieces(bench.out, 16 * bench.block(), 8));
  write.out.descriptors[5].key ^= 0x5a5a00;
  bench.channel.send(write.encode());
  bench.channel.must_end("remote access error");
  const Bytes now = lab.read(other, 0, Workbench::extent_bytes);
  check(difference(now, pattern(Workbench::extent_bytes, 1)) < 0, "the medium has changed");
}

// As many descriptors as one IU can count, in several commands at once: more work requests than a
// send queue holds.
void many_with_255_pieces(Lab& lab) {
  Workbench bench(lab);
  const std::size_t bytes = 16 * bench.block();
  const int window = std::min(bench.channel.granted(), 24);
  for (int i = 0; i < window; ++i) {
    Command command = i % 2 == 0 ? bench.read(16) : bench.write(16);
    (i % 2 == 0 ? command.in : command.out) =
        indirect(pieces(i % 2 == 0 ? bench.in : bench.out, bytes, 255));
    bench.channel.send(command.encode());
  }
  for (int i = 0; i < window; ++i) must_be_good(bench.channel.await_any(), 0, 0);
}

const char* const refused = "5/0e/03, nothing is moved";

const Case cases[] = {
    {"indirect/1_piece", "1.7", "moves", [](Lab& lab) { moves_in_pieces(lab, 1); }},
    {"indirect/2_pieces", "1.7", "moves", [](Lab& lab) { moves_in_pieces(lab, 2); }},
    {"indirect/58_pieces", "1.7", "moves", [](Lab& lab) { moves_in_pieces(lab, 58); }},
    {"indirect/255_pieces", "1.7, P32", "moves", [](Lab& lab) { moves_in_pieces(lab, 255); }},
    {"indirect/many_with_255_pieces", "67", "all are answered", many_with_255_pieces},
    {"indirect/iu_ends_in_header", "48", "5/0e/01, nothing is moved", ends_in_header},
    refusal(
        "indirect/entries_not_there", "49", "5/0e/01, nothing is moved",
        [](Workbench& bench) {
          Bytes iu = in_two(bench);
          iu[offset::in_count] = 4;
          put(iu, table_bytes, 64, 4);
          return iu;
        },
        too_short),
    refusal(
        "indirect/no_table_read", "50", refused,
        [](Workbench& bench) {
          Bytes iu = in_two(bench);
          iu[offset::in_count] = 0;
          put(iu, table_bytes, 0, 4);
          iu.resize(header_end);
          return iu;
        },
        bad_field),
    refusal(
        "indirect/no_table_write", "51", refused,
        [](Workbench& bench) {
          Bytes iu = in_two(bench, true);
          iu[offset::out_count] = 0;
          put(iu, table_bytes, 0, 4);
          iu.resize(header_end);
          return iu;
        },
        bad_field),
    {"indirect/table_lengths_read", "52", refused, [](Lab& lab) { table_lengths(lab, false); }},
    {"indirect/table_lengths_write", "52", refused, [](Lab& lab) { table_lengths(lab, true); }},
    {"indirect/count_beyond_table", "57", "the table's length decides", count_beyond_table},
    refusal(
        "indirect/both_counts_255", "58", "5/0e/01: it does not fit",
        [](Workbench& bench) {
          Command read = bench.read();
          read.cdb.resize(16 + 252);
          read.in = indirect({bench.in.at(0, 8 * bench.block())});
          Bytes iu = read.encode();
          put(iu, table_bytes + 252, 510 * 16, 4);  // 8480 bytes in all would be needed
          iu[offset::out_count] = iu[offset::in_count] = 255;
          iu.resize(bench.lab.request().iu_bytes);
          return iu;
        },
        too_short),
    {"indirect/total_below_sum", "60", "no more than the total, or 5/0e/03", total_below_sum},
    refusal(
        "indirect/total_above_sum", "5.2", refused,
        [](Workbench& bench) {
          Bytes iu = in_two(bench);
          put(iu, first_length, 16, 4);
          return iu;
        },
        bad_field),
    {"indirect/huge_lengths", "62", "64-bit sums: the CDB's bytes, or CHECK CONDITION",
     huge_lengths},
    {"indirect/no_total", "64", "no data is moved", no_total},
    {"indirect/same_entry_thrice", "65", "allowed", same_entry_thrice},
    {"indirect/empty_entries", "5.6", "skipped, their keys are not looked at", empty_entries},
    {"indirect/count_in_other_field", "P46", "the sum of both counts", count_in_other_field},
    {"indirect/one_bad_key", "41", "the channel ends, nothing is written", one_bad_key},
};

}  // namespace

std::span<const Case> indirect_cases() { return cases; }

}  // namespace conformance
