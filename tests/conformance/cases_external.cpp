// Indirect descriptors whose table is not, or not all, in the IU: the target fetches it by RDMA
// READ.
#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

const std::vector<Sense> bad_field = {sense::invalid_field_in_iu, sense::invalid_field_in_cdb,
                                      sense::invalid_iu};

// All of the list in memory, and the first `in_line` of it in the IU.
DataBuffer external(Region& table, const std::vector<Descriptor>& list, std::size_t in_line) {
  Bytes bytes;
  DataBuffer buffer{Format::indirect, {}, {}, 0};
  for (const auto& each : list) {
    append(bytes, each.address, 8);
    append(bytes, each.key, 4);
    append(bytes, each.bytes, 4);
    buffer.total += each.bytes;
    if (buffer.descriptors.size() < in_line) buffer.descriptors.push_back(each);
  }
  table.copy_in(bytes);
  buffer.table = table.at(0, bytes.size());
  return buffer;
}

// So many pieces of 16 bytes, in reverse order within each pair.
std::vector<Descriptor> small_pieces(const Region& region, std::size_t count) {
  std::vector<Descriptor> list;
  for (std::size_t i = 0; i < count; ++i) list.push_back(region.at((i ^ 1) * 16, 16));
  return list;
}

constexpr std::size_t table_memory = 64 << 10;

// A target may do without: then it refuses each such command, and moves nothing.
bool is_refused(Lab& lab, const Response& response) {
  if (lab.options().strict || response.status == status::good) return false;
  must_be_refused(lab, response, bad_field);
  lab.remark("refused lawfully");
  return true;
}

void moves(Lab& lab, std::size_t count, std::size_t in_line) {
  Workbench bench(lab);
  Region& table = lab.memory(table_memory);
  const auto blocks = static_cast<std::uint16_t>(count * 16 / bench.block());
  Command write = bench.write(blocks);
  write.out = external(table, small_pieces(bench.out, count), in_line);
  const Response response = bench.run(write);
  if (is_refused(lab, response)) return;
  must_be_good(response, 0, 0);
  Command read = bench.read(blocks);
  read.in = external(table, small_pieces(bench.in, count), in_line);
  must_be_good(bench.run(read), 0, 0);
  // Both went through the same permutation.
  const std::ptrdiff_t at = difference(bench.out.view(0, count * 16), bench.in.view(0, count * 16));
  check(at < 0, "byte ", at, " read is not the one written");
  check(bench.in.view(count * 16, 1)[0] == Workbench::filler, "more is written than was asked for");
}

// Breaks the channel where tables are fetched at all.
void bad_table(Lab& lab, void (*spoil)(Command&), bool out) {
  Workbench bench(lab);
  Channel& other = lab.join();
  Region& table = lab.memory(table_memory);
  Command command = out ? bench.write(8) : bench.read(8);
  const auto list = small_pieces(out ? bench.out : bench.in, 8 * bench.block() / 16);
  (out ? command.out : command.in) = external(table, list, 2);
  spoil(command);
  bench.channel.send(command.encode());
  if (!lab.options().strict) {
    const auto response = bench.channel.await_until(command.tag, lab.patience());
    if (response && is_refused(lab, *response)) return;
  }
  bench.channel.must_end("remote access error on a table");
  const Bytes now = lab.read(other, 0, Workbench::extent_bytes);
  check(difference(now, pattern(Workbench::extent_bytes, 1)) < 0, "the medium has changed");
  bench.must_have_read_nothing();
}

void too_many(Lab& lab, std::uint32_t table_bytes) {
  Workbench bench(lab);
  Region& table = lab.memory(table_memory);
  Command read = bench.read(8);
  read.in = external(table, small_pieces(bench.in, 8 * bench.block() / 16), 1);
  read.in.table.bytes = table_bytes;
  must_be_refused(lab, bench.run(read), bad_field);
  bench.must_have_read_nothing();
}

void sum_differs(Lab& lab) {
  Workbench bench(lab);
  Region& table = lab.memory(table_memory);
  Command read = bench.read(8);
  read.in = external(table, small_pieces(bench.in, 8 * bench.block() / 16), 1);
  read.in.total += 4096;
  must_be_refused(lab, bench.run(read), bad_field);
  bench.must_have_read_nothing();
}

// Validated after it was fetched, not before: a table that changes meanwhile is taken as it was at
// one moment.
void changes(Lab& lab) {
  Workbench bench(lab);
  Region& table = lab.memory(table_memory);
  const auto list = small_pieces(bench.in, 8 * bench.block() / 16);
  for (int i = 0; i < 50; ++i) {
    Command read = bench.read(8);
    read.in = external(table, list, 0);
    bench.channel.send(read.encode());
    for (std::uint8_t n = 0; n < 8; ++n) table.all()[16 * n + 15] = n;  // other lengths
    const Response response = bench.channel.await(read.tag);
    if (response.status != status::good) must_be_refused(lab, response, bad_field);
  }
}

void one_command(Lab& lab, std::size_t mib, bool must_be_good_one) {
  Channel& channel = lab.login();
  constexpr std::size_t piece = 1 << 20;
  Region& memory = lab.memory(piece);
  const std::size_t bytes = mib * piece;
  for (const bool out : {false, true}) {
    Command command = lab.command(
        channel, out ? cdb::write_10(8192, static_cast<std::uint16_t>(bytes / lab.block()))
                     : cdb::read_10(8192, static_cast<std::uint16_t>(bytes / lab.block())));
    (out ? command.out : command.in) = indirect(std::vector<Descriptor>(mib, memory.at(0, piece)));
    const Response response = channel.run(command.encode());
    if (response.status == status::good && (must_be_good_one || !lab.options().strict)) {
      must_be_good(response, 0, 0);
    } else {
      check(!must_be_good_one || !lab.options().strict, "refused: ", response.describe());
      if (sense_of(response) != sense::invalid_field_in_cdb)
        must_be_refused(lab, response, bad_field);
      lab.remark("refused lawfully");
    }
  }
}

const char* const fetched = "the table is fetched and the data moved, or 5/0e/03";
const char* const broken = "the channel ends and nothing is moved, or 5/0e/03";

const Case cases[] = {
    {"external/2_of_64", "53", fetched, [](Lab& lab) { moves(lab, 64, 2); }},
    {"external/0_of_64", "1.7", fetched, [](Lab& lab) { moves(lab, 64, 0); }},
    {"external/63_of_64", "1.7", fetched, [](Lab& lab) { moves(lab, 64, 63); }},
    {"external/12_of_992", "1.7", fetched, [](Lab& lab) { moves(lab, 992, 12); }},
    {"external/255_of_2048", "5.2", fetched, [](Lab& lab) { moves(lab, 2048, 255); }},
    {"external/bad_key_read", "54", broken,
     [](Lab& lab) {
       bad_table(
           lab, [](Command& command) { command.in.table.key ^= 0x5a5a00; }, false);
     }},
    {"external/bad_key_write", "54", broken,
     [](Lab& lab) {
       bad_table(
           lab, [](Command& command) { command.out.table.key ^= 0x5a5a00; }, true);
     }},
    {"external/beyond_memory", "54", broken,
     [](Lab& lab) {
       bad_table(
           lab, [](Command& command) { command.in.table.address += table_memory - 64; }, false);
     }},
    {"external/2049_entries", "55", "5/0e/03", [](Lab& lab) { too_many(lab, 2049 * 16); }},
    {"external/table_of_4_gib", "55", "5/0e/03, and no memory for it",
     [](Lab& lab) { too_many(lab, 0xfffffff0); }},
    {"external/total_above_sum", "5.2", "5/0e/03, nothing is moved", sum_differs},
    {"external/changes", "56", "the table of one moment, or 5/0e/03", changes},
    {"external/command_of_16_mib", "P31", "moves", [](Lab& lab) { one_command(lab, 16, true); }},
    {"external/command_of_24_mib", "5.2", "moves, or 5/0e/03 before any memory is spent",
     [](Lab& lab) { one_command(lab, 24, false); }},
};

}  // namespace

std::span<const Case> external_cases() { return cases; }

}  // namespace conformance
