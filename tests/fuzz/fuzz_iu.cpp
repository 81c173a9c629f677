// Fuzzes what reads and writes IUs, and what is made of a command before its data moves
// (lld_srp/iu.h, cdb.h, plan.h, the walk over descriptors): the input is an IU as received.
//
// Not only must nothing be read beyond the IU. What was parsed lies within it and says of itself
// what the bytes say; bytes that mean nothing change nothing; an IU cut short is refused or parsed
// alike; and what was parsed, written as an IU again, is parsed alike. The rules for an SRP_CMD are
// written here once more, over the bytes: what keeps them is taken, what breaks one is refused.
#include <algorithm>
#include <optional>

#include "lld_srp/iu.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/iu_checks.h"

namespace srp::fuzz {

namespace {

using wire::Opcode;

constexpr std::size_t table_head_bytes = 20;
constexpr std::size_t entry_bytes = 16;
constexpr std::size_t table_entries_max = 2048;

template <class T>
void append(Bytes& bytes, const T& object) {
  const View raw = bytes_of(object);
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

// ---- SRP_CMD ----

// Where the login has granted immediate data; 0: nowhere. Two reserved bytes of the IU say so, so
// that the input is an IU all the same. It may lie beyond the IU, as the initiator chooses both.
std::size_t granted_offset(View iu) {
  const std::size_t offset = number_at(iu, 2, 2) % 2048 & ~std::size_t{3};
  return offset < 52 ? 0 : offset;
}

struct Parsed {
  CmdFault fault;
  CmdRequest request;
};

// The one place that knows how the parser is called.
Parsed parse(View iu, std::size_t granted) {
  Parsed parsed{};
  parsed.fault = parse_cmd(iu, granted, parsed.request);
  return parsed;
}

void append(Bytes& values, const DataBuffer& buffer) {
  append(values, buffer.bytes);
  append(values, buffer.descriptors.size());
  for (const auto& descriptor : buffer.descriptors) append(values, descriptor);
  append(values, buffer.table_count);
  append(values, buffer.table);
  append(values, buffer.inside.size());
  values.insert(values.end(), buffer.inside.begin(), buffer.inside.end());
}

// All that a parsed command says, by value.
Bytes values_of(const Parsed& parsed) {
  const CmdRequest& request = parsed.request;
  Bytes values;
  append(values, parsed.fault);
  append(values, request.tag);
  append(values, request.lun);
  append(values, request.attribute);
  append(values, request.solnt);
  if (parsed.fault != CmdFault::none) return values;
  append(values, request.cdb.size());
  values.insert(values.end(), request.cdb.begin(), request.cdb.end());
  append(values, request.out);
  append(values, request.in);
  return values;
}

// Where a view begins in the IU that it must lie in.
template <class T>
std::size_t offset_in(View iu, std::span<const T> view) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(view.data());
  require(first >= iu.data() && first + view.size_bytes() <= iu.data() + iu.size(),
          "a view into an IU leaves it");
  return static_cast<std::size_t>(first - iu.data());
}

// ---- SRP_CMD: what must be taken ----

// Where the descriptors of an indirect buffer end if nothing is wrong with them. All of its table
// may be in the IU, or only the first count descriptors: then nobody can say yet what they sum up
// to.
std::optional<std::size_t> end_of_table(View iu, std::size_t count, std::size_t from) {
  if (iu.size() - from < table_head_bytes + entry_bytes * count) return std::nullopt;
  const std::uint64_t table_bytes = number_at(iu, from + 12, 4);
  if (table_bytes == 0 || table_bytes % entry_bytes != 0) return std::nullopt;
  const std::uint64_t entries = table_bytes / entry_bytes;
  if (entries > count && entries > table_entries_max) return std::nullopt;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < entries && entries <= count; ++i) {
    sum += number_at(iu, from + table_head_bytes + entry_bytes * i + 12, 4);
  }
  if (entries <= count && sum < number_at(iu, from + 16, 4)) return std::nullopt;
  return from + table_head_bytes + entry_bytes * count;
}

std::optional<std::size_t> end_of_buffer(View iu, unsigned format, std::size_t count,
                                         std::size_t from) {
  if (format == 0) return from;
  if (format == 1 && iu.size() - from >= entry_bytes) return from + entry_bytes;
  if (format == 2) return end_of_table(iu, count, from);
  return std::nullopt;
}

// The length takes the place of a descriptor; the data lies at the offset, all of it in the IU.
std::optional<std::size_t> end_of_immediate(View iu, std::size_t granted, std::size_t from) {
  if (granted == 0 || granted > iu.size() || iu.size() - from < 4) return std::nullopt;
  if (number_at(iu, from, 4) > iu.size() - granted) return std::nullopt;
  return from + 4;
}

// Of two directions each has a count of its own; of one it may stand in either field.
std::size_t count_of(View iu, bool out) {
  const bool both = iu[5] >> 4 != 0 && (iu[5] & 0x0f) != 0;
  if (both) return out ? iu[6] : iu[7];
  return std::size_t{iu[6]} + iu[7];
}

bool is_proper(View iu, std::size_t granted) {
  const unsigned out = iu[5] >> 4;
  const std::size_t cdb_end = std::size_t{48} + (iu[31] & 0xfc);
  if (iu.size() < cdb_end) return false;
  const auto out_end = out == 3 ? end_of_immediate(iu, granted, cdb_end)
                                : end_of_buffer(iu, out, count_of(iu, true), cdb_end);
  if (!out_end) return false;
  const auto in_end = end_of_buffer(iu, iu[5] & 0x0f, count_of(iu, false), *out_end);
  return in_end && (out != 3 || *in_end <= granted);
}

// ---- SRP_CMD: what was taken ----

void check_direct(View iu, const DataBuffer& buffer, std::size_t from) {
  require(buffer.descriptors.size() == 1 && offset_in(iu, buffer.descriptors) == from &&
              buffer.bytes == number_at(iu, from + 12, 4) && !buffer.incomplete(),
          "a direct buffer is not one");
  check_walk(buffer.descriptors, buffer.bytes);
}

void check_indirect(View iu, std::size_t count, const DataBuffer& buffer, std::size_t from) {
  const std::uint64_t entries = number_at(iu, from + 12, 4) / entry_bytes;
  require(buffer.bytes == number_at(iu, from + 16, 4), "not the total of the table's head");
  require(buffer.descriptors.size() == std::min<std::uint64_t>(entries, count) &&
              (buffer.descriptors.empty() ||
               offset_in(iu, buffer.descriptors) == from + table_head_bytes),
          "not the descriptors of the IU");
  std::uint64_t sum = 0;
  for (const auto& descriptor : buffer.descriptors) sum += descriptor.bytes;
  require(covers(buffer.descriptors, sum) && !covers(buffer.descriptors, sum + 1),
          "descriptors stand for another sum");
  require(buffer.incomplete() == (entries > count), "a table is not where it is");
  if (buffer.incomplete()) {
    require(buffer.table_count == entries && entries <= table_entries_max,
            "not the table's length");
    require(std::ranges::equal(bytes_of(buffer.table), iu.subspan(from, entry_bytes)),
            "a table is not where its head says");
  } else {
    require(buffer.table_count == 0 && sum >= buffer.bytes, "fewer bytes than the total");
  }
  check_walk(buffer.descriptors, std::min(buffer.bytes, sum));
}

// Returns where the descriptors of this direction end.
std::size_t check_buffer(View iu, bool is_out, const DataBuffer& buffer, std::size_t from) {
  const unsigned format = is_out ? iu[5] >> 4 : iu[5] & 0x0f;
  require(format == 3 || buffer.inside.empty(), "immediate data that is none");
  switch (format) {
    case 1: check_direct(iu, buffer, from); return from + entry_bytes;
    case 2: {
      const std::size_t count = count_of(iu, is_out);
      check_indirect(iu, count, buffer, from);
      return from + table_head_bytes + entry_bytes * count;
    }
    default:
      require(buffer.descriptors.empty() && !buffer.incomplete() && buffer.table_count == 0,
              "descriptors of a direction that has none");
      require(format == 3 || buffer.bytes == 0, "data of a direction that has none");
      return format == 3 ? from + 4 : from;
  }
}

void check_immediate(View iu, std::size_t granted, const DataBuffer& buffer, std::size_t at,
                     std::size_t descriptors_end) {
  require(granted != 0, "immediate data that was not granted");
  require(offset_in(iu, buffer.inside) == granted, "immediate data is not where it was granted");
  require(buffer.bytes == number_at(iu, at, 4) && buffer.inside.size() == buffer.bytes,
          "immediate data of another length");
  require(descriptors_end <= granted, "descriptors reach into immediate data");
}

void check_views(View iu, std::size_t granted, const Parsed& parsed) {
  const CmdRequest& request = parsed.request;
  require(std::ranges::equal(request.tag.bytes, iu.subspan(8, 8)), "not the tag of the IU");
  require(std::ranges::equal(request.lun, iu.subspan(20, 8)), "not the LUN of the IU");
  require(static_cast<unsigned>(request.attribute) == (iu[29] & 7U), "not the attribute of the IU");
  require(request.solnt == iu[1], "not SOLNT of the IU");
  require(request.cdb.size() >= 16 && offset_in(iu, request.cdb) == 32, "not the CDB of the IU");
  const CmdAddress address = address_of_cmd(iu);
  require(address.tag == request.tag && address.lun == request.lun, "two addresses of one IU");
  if (parsed.fault != CmdFault::none) return;
  require(request.cdb.size() == 16U + (iu[31] & 0xfcU), "not the length of the CDB");
  const std::size_t cdb_end = 32 + request.cdb.size();
  const std::size_t out_end = check_buffer(iu, true, request.out, cdb_end);
  const std::size_t in_end = check_buffer(iu, false, request.in, out_end);
  if (iu[5] >> 4 == 3) check_immediate(iu, granted, request.out, cdb_end, in_end);
}

// Reserved fields are ignored, whatever they hold, and counts where there is no table.
void check_reserved(const Bytes& iu, std::size_t granted, const Bytes& values) {
  Bytes other = iu;
  for (const unsigned at : {2U, 3U, 4U, 16U, 17U, 18U, 19U, 28U, 30U}) other[at] ^= 0xff;
  other[29] ^= 0xf8;
  other[31] ^= 0x03;
  if (iu[5] >> 4 != 2 && (iu[5] & 0x0f) != 2) {
    other[6] ^= 0xff;
    other[7] ^= 0xff;
  }
  require(values_of(parse(other, granted)) == values, "a reserved field changes the command");
}

// What comes after the command is nobody's; a command that is cut is never another one.
void check_lengths(const Bytes& iu, std::size_t granted, const Parsed& parsed,
                   const Bytes& values) {
  if (parsed.fault != CmdFault::none) return;
  Bytes longer = iu;
  longer.resize(iu.size() + 33, 0xa5);
  require(values_of(parse(longer, granted)) == values, "what follows a command changes it");
  const std::size_t step = std::max<std::size_t>(1, iu.size() / 64);
  for (std::size_t bytes = sizeof(wire::Cmd); bytes < iu.size(); bytes += step) {
    const Bytes shorter = copy(View{iu}.first(bytes));
    const Parsed cut = parse(shorter, granted);
    require(cut.fault == CmdFault::too_short || values_of(cut) == values,
            "a command that is cut is another one");
  }
}

// Without a grant there is no immediate data, and with one nothing else changes.
void check_grant(const Bytes& iu, const Parsed& parsed, const Bytes& values) {
  const Parsed without = parse(iu, 0);
  if (iu[5] >> 4 != 3) return require(values_of(without) == values, "a grant changes a command");
  require(without.fault != CmdFault::none, "immediate data is taken without a grant");
  require(without.request.tag == parsed.request.tag, "a tag depends on a grant");
}

// Returns the format; indirect where one descriptor would say something else.
unsigned encode(Bytes& iu, const DataBuffer& buffer) {
  if (buffer.descriptors.empty() && !buffer.incomplete()) return 0;
  const bool direct = !buffer.incomplete() && buffer.descriptors.size() == 1 &&
                      buffer.descriptors[0].bytes == buffer.bytes;
  if (!direct) {
    wire::MemoryDesc table{std::uint64_t{0}, std::uint32_t{0},
                           static_cast<std::uint32_t>(buffer.descriptors.size_bytes())};
    if (buffer.incomplete()) table = buffer.table;
    append(iu, wire::IndirectDesc{table, static_cast<std::uint32_t>(buffer.bytes)});
  }
  for (const auto& descriptor : buffer.descriptors) append(iu, descriptor);
  return direct ? 1 : 2;
}

// Between the descriptors and immediate data is what nobody looks at.
void check_round_trip(View iu, std::size_t granted, const Parsed& parsed, const Bytes& values) {
  if (parsed.fault != CmdFault::none) return;
  const CmdRequest& request = parsed.request;
  const bool immediate = iu[5] >> 4 == 3;
  Bytes encoded(32);
  encoded[0] = static_cast<std::uint8_t>(Opcode::cmd);
  encoded[1] = request.solnt;
  std::ranges::copy(request.tag.bytes, encoded.begin() + 8);
  std::ranges::copy(request.lun, encoded.begin() + 20);
  encoded[29] = static_cast<std::uint8_t>(request.attribute);
  encoded[31] = static_cast<std::uint8_t>(request.cdb.size() - 16);
  encoded.insert(encoded.end(), request.cdb.begin(), request.cdb.end());
  if (immediate) append(encoded, wire::Be32{static_cast<std::uint32_t>(request.out.bytes)});
  const unsigned out = immediate ? 3 : encode(encoded, request.out);
  const unsigned in = encode(encoded, request.in);
  encoded[5] = static_cast<std::uint8_t>(out << 4 | in);
  std::size_t out_count = request.out.descriptors.size();
  std::size_t in_count = request.in.descriptors.size();
  if (out == 0 || in == 0) {  // a single count may be spread over both fields
    const std::size_t sum = out_count + in_count;
    out_count = std::min<std::size_t>(sum, 255);
    in_count = sum - out_count;
  }
  encoded[6] = static_cast<std::uint8_t>(out_count);
  encoded[7] = static_cast<std::uint8_t>(in_count);
  if (immediate) {
    encoded.resize(granted, 0xa5);
    encoded.insert(encoded.end(), request.out.inside.begin(), request.out.inside.end());
  }
  require(values_of(parse(copy(encoded), granted)) == values,
          "a command, written again, is another one");
}

// As the receives of a channel lie: immediate data starts a page, and may go to tgtd as it is.
void check_in_place(View iu, std::size_t granted, const Bytes& values) {
  constexpr std::size_t page = 4096;
  struct alignas(page) Page {
    std::uint8_t bytes[page];
  };
  const std::size_t lead = (page - granted % page) % page;
  std::vector<Page> memory((lead + iu.size()) / page + 1);
  std::uint8_t* const at = memory.front().bytes + lead;
  std::ranges::copy(iu, at);
  const Parsed placed = parse({at, iu.size()}, granted);
  require(values_of(placed) == values, "a command depends on where it lies");
  check_plans(placed.request);
}

void check_cmd(const Bytes& iu) {
  const std::size_t granted = granted_offset(iu);
  const Parsed parsed = parse(iu, granted);
  const Bytes values = values_of(parsed);
  if (is_proper(iu, granted)) {
    require(parsed.fault == CmdFault::none, "a proper command is refused");
  } else {
    require(parsed.fault != CmdFault::none, "a command is taken that must be refused");
  }
  check_views(iu, granted, parsed);
  check_reserved(iu, granted, values);
  check_grant(iu, parsed, values);
  check_lengths(iu, granted, parsed, values);
  check_round_trip(iu, granted, parsed, values);
  check_cdb(parsed.request.cdb);
  if (parsed.fault != CmdFault::none) return;
  check_plans(parsed.request);
  if (!parsed.request.out.inside.empty()) check_in_place(iu, granted, values);
}

// ---- the others ----

void check_task(View iu) {
  const TaskRequest request = parse_task(iu);
  require(std::ranges::equal(request.tag.bytes, iu.subspan(8, 8)), "not the tag of the task");
  require(std::ranges::equal(request.lun, iu.subspan(20, 8)), "not the LUN of the task");
  require(request.solnt == iu[1], "not SOLNT of the task");
  require(static_cast<std::uint8_t>(request.function) == iu[30], "not the function of the task");
  require(std::ranges::equal(request.task_tag.bytes, iu.subspan(32, 8)), "not the managed task");
}

std::size_t least_bytes(std::uint8_t opcode) {
  switch (opcode) {
    case 0x01:
    case 0x02: return 48;
    case 0x03:
    case 0x41:
    case 0x42: return 16;
    default: return ~std::size_t{0};
  }
}

}  // namespace

void one_input(View input) {
  const Bytes iu = copy(input);
  const auto opcode = classify(iu);
  const bool possible = !iu.empty() && iu.size() >= least_bytes(iu[0]);
  require(opcode.has_value() == possible, "an IU is taken for what it is not");
  check_answers(input);
  if (!opcode) return;
  require(static_cast<std::uint8_t>(*opcode) == iu[0], "another opcode than the IU's");
  if (*opcode == Opcode::cmd) check_cmd(iu);
  if (*opcode == Opcode::tsk_mgmt) check_task(iu);
}

}  // namespace srp::fuzz

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  srp::fake::failure_signals = true;
  return 0;
}

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  srp::fuzz::one_input({data, bytes});
  return 0;
}
