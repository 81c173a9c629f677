// Fuzzes what reads and writes IUs (lld_srp/iu.h, cdb.h, the walk over descriptors): the input is
// an IU as received.
//
// Not only must nothing be read beyond the IU. What was parsed lies within it and says of itself
// what the bytes say; bytes that mean nothing change nothing; an IU cut short is refused or parsed
// alike; and what was parsed, written as an IU again, is parsed alike.
#include <algorithm>
#include <cstring>
#include <optional>

#include "lld_srp/cdb.h"
#include "lld_srp/channel.h"
#include "lld_srp/iu.h"
#include "tests/fuzz/check.h"

namespace srp::fuzz {

namespace {

using wire::Opcode;

template <class T>
void append(Bytes& bytes, const T& object) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&object);
  bytes.insert(bytes.end(), raw, raw + sizeof object);
}

std::uint64_t number_at(View bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes.subspan(offset, width)) value = value << 8 | byte;
  return value;
}

// ---- SRP_CMD ----

struct Parsed {
  CmdFault fault;
  CmdRequest request;
};

// The one place that knows how the parser is called.
Parsed parse(View iu) {
  Parsed parsed{};
  parsed.fault = parse_cmd(iu, parsed.request);
  return parsed;
}

void append(Bytes& values, const DataBuffer& buffer) {
  append(values, buffer.bytes);
  for (const auto& descriptor : buffer.descriptors) append(values, descriptor);
}

// All that a parsed command says, by value.
Bytes values_of(const Parsed& parsed) {
  const CmdRequest& request = parsed.request;
  Bytes values;
  append(values, parsed.fault);
  append(values, request.tag);
  append(values, request.lun);
  append(values, request.task_attribute);
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

// The ranges that RDMA goes to are pieces of the descriptors, in order, and as many bytes as asked.
void check_walk(const DataBuffer& buffer, std::uint32_t bytes_max) {
  std::uint64_t passed = 0;
  std::size_t piece = 0;
  std::uint64_t in_piece = 0;
  DescriptorCursor cursor{buffer.descriptors, buffer.bytes};
  // A range of a few bytes of a buffer of gigabytes would be walked for ever.
  for (int i = 0; i < 1000 && !cursor.done(); ++i) {
    const auto range = cursor.next(bytes_max);
    while (in_piece == buffer.descriptors[piece].bytes) {
      ++piece;
      in_piece = 0;
    }
    const wire::MemoryDesc& descriptor = buffer.descriptors[piece];
    require(range.bytes != 0 && range.bytes <= bytes_max && range.offset == passed,
            "a range is empty, too long or out of order");
    require(range.key == descriptor.key && range.address == descriptor.address + in_piece &&
                range.bytes <= descriptor.bytes - in_piece,
            "a range is not a piece of its descriptor");
    in_piece += range.bytes;
    passed += range.bytes;
    require(passed <= buffer.bytes, "ranges sum up to more than the buffer has");
  }
  require(!cursor.done() || passed == buffer.bytes, "ranges sum up to less than the buffer has");
}

// format: what the IU says of this direction. Returns where the descriptors end.
std::size_t check_buffer(View iu, unsigned format, const DataBuffer& buffer, std::size_t from) {
  const bool described = format == 1 || format == 2;
  require(described || format != 0 || (buffer.bytes == 0 && buffer.descriptors.empty()),
          "data of a direction that has none");
  if (!described || buffer.descriptors.empty()) return from;
  const std::size_t begin = offset_in(iu, buffer.descriptors);
  const std::size_t head = format == 2 ? sizeof(wire::IndirectDesc) : 0;
  require(begin >= from + head, "descriptors overlap what is in front of them");
  std::uint64_t sum = 0;
  for (const auto& descriptor : buffer.descriptors) sum += descriptor.bytes;
  require(buffer.bytes <= sum, "a buffer of more bytes than its descriptors have");
  if (format == 1) {
    require(buffer.descriptors.size() == 1 && buffer.bytes == sum, "a direct buffer is not one");
  } else {
    require(number_at(iu, begin - 4, 4) == buffer.bytes && number_at(iu, begin - 8, 4) % 16 == 0 &&
                number_at(iu, begin - 8, 4) / 16 == buffer.descriptors.size(),
            "an indirect buffer is not as its head says");
  }
  for (const std::uint32_t most : {1U, 4096U, 0xffffffffU}) check_walk(buffer, most);
  return begin + buffer.descriptors.size_bytes();
}

// Where the descriptors of a direction end if nothing is wrong with them; nothing otherwise, and
// where it is a matter of taste.
std::optional<std::size_t> end_of_buffer(View iu, unsigned format, std::size_t count,
                                         std::size_t from) {
  constexpr std::size_t head = 20;
  constexpr std::size_t entry = 16;
  if (format == 0) return from;
  if (format == 1) return iu.size() - from >= entry ? std::optional{from + entry} : std::nullopt;
  if (format != 2 || iu.size() - from < head + entry * count) return std::nullopt;
  const std::uint64_t table_bytes = number_at(iu, from + 12, 4);
  if (table_bytes == 0 || table_bytes % entry != 0 || table_bytes / entry > count) return {};
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < table_bytes / entry; ++i) {
    sum += number_at(iu, from + head + entry * i + 12, 4);
  }
  if (sum < number_at(iu, from + 16, 4)) return std::nullopt;
  return from + head + entry * count;
}

// With one direction the counts may stand in either field.
bool is_proper(View iu) {
  const unsigned out = iu[5] >> 4;
  const unsigned in = iu[5] & 0x0f;
  const bool both = out != 0 && in != 0;
  const unsigned sum = iu[6] + iu[7];
  const std::size_t cdb_end = std::size_t{48} + (iu[31] & 0xfc);
  if (iu[1] != 0 || (iu[29] & 0x07) > 2 || iu.size() < cdb_end) return false;
  const auto out_end = end_of_buffer(iu, out, both ? iu[6] : sum, cdb_end);
  return out_end && end_of_buffer(iu, in, both ? iu[7] : sum, *out_end);
}

void check_views(View iu, const Parsed& parsed) {
  const CmdRequest& request = parsed.request;
  require(std::ranges::equal(request.tag.bytes, iu.subspan(8, 8)), "not the tag of the IU");
  require(std::ranges::equal(request.lun, iu.subspan(20, 8)), "not the LUN of the IU");
  require(request.cdb.size() >= 16 && offset_in(iu, request.cdb) == 32, "not the CDB of the IU");
  const CmdAddress address = address_of_cmd(iu);
  require(address.tag == request.tag && address.lun == request.lun, "two addresses of one IU");
  if (parsed.fault != CmdFault::none) return;
  require(request.cdb.size() == 16U + (iu[31] & 0xfcU), "not the length of the CDB");
  const std::size_t out_end = check_buffer(iu, iu[5] >> 4, request.out, 32 + request.cdb.size());
  (void)check_buffer(iu, iu[5] & 0x0f, request.in, out_end);
}

// Reserved fields are ignored, whatever they hold.
void check_reserved(const Bytes& iu, const Bytes& values) {
  Bytes other = iu;
  for (const unsigned at : {2U, 3U, 4U, 16U, 17U, 18U, 19U, 28U, 30U}) other[at] ^= 0xff;
  other[31] ^= 0x03;
  require(values_of(parse(other)) == values, "a reserved field changes the command");
}

// What comes after the command is nobody's; a command that is cut is never another one.
void check_lengths(const Bytes& iu, const Parsed& parsed, const Bytes& values) {
  if (parsed.fault != CmdFault::none) return;
  Bytes longer = iu;
  longer.resize(iu.size() + 33, 0xa5);
  require(values_of(parse(longer)) == values, "what follows a command changes it");
  const std::size_t step = std::max<std::size_t>(1, iu.size() / 64);
  for (std::size_t bytes = sizeof(wire::Cmd); bytes < iu.size(); bytes += step) {
    const Bytes shorter = copy(View{iu}.first(bytes));
    const Parsed cut = parse(shorter);
    require(cut.fault == CmdFault::too_short || values_of(cut) == values,
            "a command that is cut is another one");
  }
}

// Only buffers that descriptors describe; indirect where one descriptor would say something else.
unsigned encode(Bytes& iu, const DataBuffer& buffer) {
  if (buffer.descriptors.empty()) return 0;
  const bool direct = buffer.descriptors.size() == 1 && buffer.descriptors[0].bytes == buffer.bytes;
  if (!direct) {
    const auto table_bytes = static_cast<std::uint32_t>(buffer.descriptors.size_bytes());
    append(iu, wire::IndirectDesc{{std::uint64_t{0}, std::uint32_t{0}, table_bytes},
                                  static_cast<std::uint32_t>(buffer.bytes)});
  }
  for (const auto& descriptor : buffer.descriptors) append(iu, descriptor);
  return direct ? 1 : 2;
}

void check_round_trip(View iu, const Parsed& parsed, const Bytes& values) {
  if (parsed.fault != CmdFault::none || iu[5] >> 4 > 2 || (iu[5] & 0x0f) > 2) return;
  const CmdRequest& request = parsed.request;
  Bytes encoded(32);
  encoded[0] = static_cast<std::uint8_t>(Opcode::cmd);
  std::ranges::copy(request.tag.bytes, encoded.begin() + 8);
  std::ranges::copy(request.lun, encoded.begin() + 20);
  encoded[29] = request.task_attribute;
  encoded[31] = static_cast<std::uint8_t>(request.cdb.size() - 16);
  encoded.insert(encoded.end(), request.cdb.begin(), request.cdb.end());
  const unsigned out = encode(encoded, request.out);
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
  require(values_of(parse(copy(encoded))) == values, "a command, written again, is another one");
}

// ---- what a CDB says ----

void check_allocation(View cdb, const Medium& medium, const CdbData& before) {
  if (before.in_bytes == as_offered) return;
  for (const std::uint64_t room : {before.in_bytes / 2, before.in_bytes - 1}) {
    if (room >= before.in_bytes) continue;
    Bytes shorter = copy(cdb);
    set_allocation_length(shorter, room);
    const CdbData after = describe_cdb(shorter, medium);
    require(
        shorter[0] == cdb[0] && after.kind == before.kind && after.out_bytes == before.out_bytes,
        "a shorter allocation length makes another command");
    require(after.in_bytes == room || std::ranges::equal(shorter, cdb),
            "an allocation length is not what was set");
  }
}

void check_cdb(View cdb) {
  const Medium media[] = {
      {}, {true, false, 0}, {true, true, 9}, {true, true, 11}, {true, true, 12}, {true, true, 16}};
  for (const Medium& medium : media) {
    const CdbData data = describe_cdb(cdb, medium);
    const bool blocks = data.kind == CdbKind::medium_read || data.kind == CdbKind::medium_write;
    require(!blocks || medium.block_device, "blocks of what has none");
    require(data.kind != CdbKind::medium_read || data.out_bytes == 0, "a read that writes");
    require(data.kind != CdbKind::medium_write || data.in_bytes == 0, "a write that reads");
    require(data.kind != CdbKind::unsafe || (data.out_bytes == 0 && data.in_bytes == 0),
            "an unsafe command that moves data");
    for (const std::uint64_t bytes : {data.out_bytes, data.in_bytes}) {
      const std::uint64_t most = std::uint64_t{0xffffffff} << medium.block_shift;
      require(bytes == as_offered || bytes <= most, "more bytes than a CDB can say");
      require(!blocks || bytes % (std::uint64_t{1} << medium.block_shift) == 0, "half a block");
    }
    if (data.kind == CdbKind::parameter) check_allocation(cdb, medium, data);
  }
}

void check_cmd(const Bytes& iu) {
  const Parsed parsed = parse(iu);
  const Bytes values = values_of(parsed);
  require(parsed.fault == CmdFault::none || !is_proper(iu), "a proper command is refused");
  check_views(iu, parsed);
  check_reserved(iu, values);
  check_lengths(iu, parsed, values);
  check_round_trip(iu, parsed, values);
  check_cdb(parsed.request.cdb);
}

// ---- the others ----

void check_task(View iu) {
  const TaskRequest request = parse_task(iu);
  require(std::ranges::equal(request.tag.bytes, iu.subspan(8, 8)), "not the tag of the task");
  require(std::ranges::equal(request.lun, iu.subspan(20, 8)), "not the LUN of the task");
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

// SRP_RSP, read with the offsets of the standard. sense_bytes: what the target has to say.
void check_response(View iu, std::size_t room, const wire::Tag& tag, std::uint32_t delta) {
  require(iu.size() >= 36 && iu.size() <= room, "a response of an impossible length");
  require(iu[0] == 0xc1 && number_at(iu, 4, 4) == delta, "a response's head");
  require(std::ranges::equal(tag.bytes, iu.subspan(8, 8)), "a response's tag");
  for (const unsigned at : {1U, 2U, 3U, 16U, 17U}) require(iu[at] == 0, "a reserved field is set");
  const std::uint8_t flags = iu[18];
  require((flags & 0xc0) == 0 && (flags & 0x0c) != 0x0c && (flags & 0x30) != 0x30, "its flags");
  const std::uint64_t sense = number_at(iu, 28, 4);
  const std::uint64_t data = number_at(iu, 32, 4);
  require(iu.size() == 36 + sense + data, "a response's lengths");
  require(((flags & 1) != 0) == (data != 0) && ((flags & 2) != 0) == (sense != 0), "its parts");
  require((flags & 0x0c) != 0 || number_at(iu, 20, 4) == 0, "a residual without its flag");
  require((flags & 0x30) != 0 || number_at(iu, 24, 4) == 0, "a residual without its flag");
}

// The answers that a target may have to give, with values out of the input.
void check_responses(View input) {
  fake::Random dice{input};
  wire::Tag tag;
  for (auto& byte : tag.bytes) byte = dice.byte();
  const auto number = [&] { return static_cast<std::uint32_t>(dice.next() >> dice.below(64)); };
  Bytes sense(dice.below(253));
  for (auto& byte : sense) byte = dice.noise();
  CmdResult result;
  result.status = dice.byte();
  (dice.chance(0.5) ? result.out.under : result.out.over) = number();
  (dice.chance(0.5) ? result.in.under : result.in.over) = number();
  result.sense = sense;
  const std::uint32_t delta = number();
  Bytes iu(dice.between(wire::task_rsp_bytes, 320), 0xee);
  const std::size_t bytes = build_rsp(iu, tag, delta, result);
  require(bytes <= iu.size(), "a response longer than its room");
  check_response(View{iu}.first(bytes), iu.size(), tag, delta);
  const std::size_t kept = std::min(sense.size(), iu.size() - 36);
  require(bytes == 36 + kept &&
              std::equal(sense.begin(), sense.begin() + static_cast<int>(kept), iu.begin() + 36),
          "sense was changed");
  const std::uint8_t code = dice.byte();
  const std::size_t task_bytes = build_task_rsp(iu, tag, delta, static_cast<wire::RspCode>(code));
  require(task_bytes == 40 && iu[39] == code && iu[19] == 0, "the answer to a task");
  check_response(View{iu}.first(task_bytes), iu.size(), tag, delta);
}

}  // namespace

void one_input(View input) {
  const Bytes iu = copy(input);
  const auto opcode = classify(iu);
  const bool possible = !iu.empty() && iu.size() >= least_bytes(iu[0]);
  require(opcode.has_value() == possible, "an IU is taken for what it is not");
  check_responses(input);
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
