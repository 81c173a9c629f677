// What an initiator sends when it is broken or means harm; see initiator.h.
#include <algorithm>
#include <cstring>

#include "tests/fake/initiator.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::fake {

namespace {

Random& dice() { return the_world().random; }

wire::Cmd& head_of(Bytes& iu) { return *reinterpret_cast<wire::Cmd*>(iu.data()); }

void append(Bytes& iu, const auto& object) {
  const auto bytes = bytes_of(object);
  iu.insert(iu.end(), bytes.begin(), bytes.end());
}

wire::IndirectDesc indirect(std::uint32_t table_bytes, std::uint32_t total) {
  return {{std::uint64_t{0x1000}, std::uint32_t{0x99}, table_bytes}, total};
}

// A READ or WRITE of one block with its head only: no descriptors yet.
SentCommand one_block(InitiatorChannel& channel, std::uint64_t tag, bool write) {
  SentCommand command;
  command.tag = tag;
  command.kind = write ? CommandKind::write : CommandKind::read;
  command.unit = {channel.site.tid, channel.site.luns.rbegin()->first};
  command.cdb[0] = write ? 0x2a : 0x28;
  command.cdb[8] = 1;
  command.blocks = 1;
  command.wanted = write ? 0 : block_bytes;
  command.data_out = write;
  if (write) {
    command.number =
        the_world().tgtd->ledger.issue({command.unit, 0, 1, static_cast<int>(channel.owner.number),
                                        0, 0, 0, "it must be refused"});
  }
  return command;
}

const wire::MemoryDesc any_piece{std::uint64_t{0x2000}, std::uint32_t{0x77},
                                 std::uint32_t{block_bytes}};

// The descriptor format of the direction that the command has.
void set_format(Bytes& iu, const SentCommand& command, std::size_t format) {
  head_of(iu).buffer_formats = static_cast<std::uint8_t>(command.data_out ? format << 4 : format);
}

// Formats that are not there, and IUs that end too early.
Demand spoil_format(const SentCommand& command, Bytes& iu, std::size_t granted) {
  switch (dice().below(5)) {
    case 0:  // reserved formats
      set_format(iu, command, dice().between(4, 15));
      append(iu, any_piece);
      return Demand::invalid_field;
    case 1:  // immediate data where it was not granted, or inwards, or more than there is
      set_format(iu, command, 3);
      if (granted && command.data_out) {
        append(iu, wire::Be32{std::uint32_t{block_bytes}});
        iu.resize(granted + dice().below(block_bytes));
        return Demand::too_short;
      }
      append(iu, wire::Be32{std::uint32_t{block_bytes}});
      iu.resize(68 + block_bytes);
      return Demand::invalid_field;
    case 2:  // the end comes within a direct descriptor
      set_format(iu, command, 1);
      append(iu, any_piece);
      iu.resize(dice().between(48, 63));
      return Demand::too_short;
    case 3:  // within the head of an indirect one
      set_format(iu, command, 2);
      append(iu, indirect(16, block_bytes));
      iu.resize(dice().between(48, 67));
      return Demand::too_short;
    default:  // within additional CDB bytes
      head_of(iu).additional_cdb = 252;
      return Demand::too_short;
  }
}

// Tables that lie about themselves.
Demand spoil_table(const SentCommand& command, Bytes& iu) {
  const auto table = [&](std::uint8_t count, std::uint32_t table_bytes, std::uint32_t total) {
    set_format(iu, command, 2);
    head_of(iu).in_count = count;
    append(iu, indirect(table_bytes, total));
    append(iu, any_piece);
  };
  switch (dice().below(5)) {
    case 0:  // fewer descriptors in the IU than it says
      table(4, 64, block_bytes);
      return Demand::too_short;
    case 1: {  // empty, or not made of descriptors
      const std::uint32_t lengths[] = {0, 15, 17, 40};
      table(1, lengths[dice().below(4)], block_bytes);
      return Demand::invalid_field;
    }
    case 2:  // the rest of it is at the initiator, and too long
      table(1, static_cast<std::uint32_t>(dice().between(2049, 4000)) * 16, block_bytes);
      return Demand::refused;
    case 3:  // less data than it says
      table(1, 16, 0xffffffff);
      return Demand::invalid_field;
    default:  // 510 descriptors, which no IU holds
      table(255, 510 * 16, block_bytes);
      head_of(iu).out_count = 255;
      return Demand::too_short;
  }
}

// IUs that cannot be answered.
Bytes not_an_iu() {
  Bytes iu(dice().below(4) == 0 ? dice().below(16) : dice().between(16, 64));
  for (auto& byte : iu) byte = dice().byte();
  if (iu.empty()) return iu;
  const std::uint8_t opcodes[] = {0x04, 0x3f, 0x43, 0x7f, 0x80, 0x81, 0x82, 0xc0, 0xc1, 0xc2, 0x00};
  iu[0] = opcodes[dice().below(std::size(opcodes))];
  if (iu.size() < 48 && dice().chance(0.3)) iu[0] = 0x02;
  if (iu.size() < 48 && dice().chance(0.3)) iu[0] = 0x01;
  return iu;
}

}  // namespace

void InitiatorChannel::send_nonsense() {
  if (!can_send() || site.luns.size() < 2) return;
  const std::size_t roll = dice().below(10);
  if (roll == 0) {  // answers to nothing cost no credit and have no effect
    Bytes iu(16);
    iu[0] = dice().chance(0.5) ? 0x41 : 0x42;
    connection->wire.push_back(std::move(iu));
    return;
  }
  if (roll == 1) {
    trace("initiator %u channel %u: what is not an IU", owner.number, number);
    doomed = true;
    connection->wire.push_back(not_an_iu());
    return;
  }
  const bool write = dice().chance(0.5);
  SentCommand command = one_block(*this, next_tag(), write);
  if (roll == 2) {  // memory that is not there
    const std::uint32_t key = (owner.number << 24) | owner.next_key++;
    owner.regions[key] = {number, command.tag, 0, 0, nullptr, true};
    command.offered = block_bytes;
    command.memory.resize(block_bytes);
    for (std::size_t i = 0; i < command.memory.size(); ++i) command.memory[i] = untouched(i);
    command.pieces.push_back({0x1234, key, block_bytes, 0});
    if (dice().chance(0.5)) {  // not even the descriptors are
      command.pieces.push_back(command.pieces.front());
      command.offered = 2 * block_bytes;
      command.in_line = dice().below(2);
      command.table = {0x5678, key, 32, 0};
    }
    command.optional = true;
    Bytes iu = build(command);
    return send(std::move(command), std::move(iu));
  }
  if (roll == 3) {  // data in the wrong direction
    command.data_out = !write;
    command.demand = write ? Demand::refused : Demand::refused_or_over;
    offer_memory(command, block_bytes);
    Bytes iu = build(command);
    return send(std::move(command), std::move(iu));
  }
  Bytes iu = build(command);
  command.demand =
      dice().chance(0.5) ? spoil_format(command, iu, immediate_offset) : spoil_table(command, iu);
  send(std::move(command), std::move(iu));
}

// More requests than the limit allows. The target ends it if it sees that: it may have answered
// some in the meantime.
void InitiatorChannel::overdraw() {
  if (state != State::up || doomed) return;
  trace("initiator %u channel %u: overdraws", owner.number, number);
  overdrawn = true;
  while (credits >= -1) test_unit_ready();
}

void InitiatorChannel::logout() {
  if (!can_send()) return;
  trace("initiator %u channel %u: logs out", owner.number, number);
  Bytes iu(16);
  iu[0] = static_cast<std::uint8_t>(wire::Opcode::i_logout);
  doomed = true;
  connection->wire.push_back(std::move(iu));
}

}  // namespace srp::fake
