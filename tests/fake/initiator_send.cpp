// What an initiator sends when it means well; see initiator.h.
#include <algorithm>
#include <cstring>

#include "tests/fake/initiator.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::fake {

namespace {

Random& dice() { return the_world().random; }

void put(std::uint8_t* at, std::uint64_t value, unsigned width) {
  for (unsigned i = width; i-- > 0; value >>= 8) at[i] = static_cast<std::uint8_t>(value);
}

CommandKind draw_kind() {
  // Reads and writes more often than all others.
  const std::size_t roll = dice().below(24);
  if (roll < 8) return CommandKind::write;
  if (roll < 15) return CommandKind::read;
  const CommandKind others[] = {
      CommandKind::test_unit_ready, CommandKind::inquiry,       CommandKind::report_luns,
      CommandKind::mode_sense,      CommandKind::request_sense, CommandKind::read_capacity,
      CommandKind::synchronize,     CommandKind::unmap,         CommandKind::inquiry};
  return others[roll - 15];
}

void fill_rw_cdb(SentCommand& command) {
  const bool write = command.kind == CommandKind::write;
  if (dice().chance(0.3)) {
    command.cdb[0] = write ? 0x8a : 0x88;
    put(command.cdb.data() + 2, command.lba, 8);
    put(command.cdb.data() + 10, command.blocks, 4);
  } else {
    command.cdb[0] = write ? 0x2a : 0x28;
    put(command.cdb.data() + 2, command.lba, 4);
    put(command.cdb.data() + 7, command.blocks, 2);
  }
}

// Lengths of the CDB's own choice; returns the allocation length.
std::uint32_t fill_parameter_cdb(SentCommand& command) {
  const std::uint32_t any[] = {0, 1, 4, 36, 66, 96, 255};
  const std::uint32_t allocation = any[dice().below(std::size(any))];
  switch (command.kind) {
    case CommandKind::inquiry:
      command.cdb[0] = 0x12;
      put(command.cdb.data() + 3, allocation, 2);
      return allocation;
    case CommandKind::report_luns:
      command.cdb[0] = 0xa0;
      put(command.cdb.data() + 6, allocation, 4);
      return allocation;
    case CommandKind::mode_sense:
      command.cdb[0] = 0x1a;
      command.cdb[4] = static_cast<std::uint8_t>(allocation);
      return allocation;
    case CommandKind::request_sense:
      command.cdb[0] = 0x03;
      command.cdb[4] = static_cast<std::uint8_t>(allocation);
      return allocation;
    case CommandKind::read_capacity:
      command.cdb[0] = 0x9e;
      command.cdb[1] = 0x10;
      put(command.cdb.data() + 10, allocation, 4);
      return allocation;
    default: command.cdb[0] = command.kind == CommandKind::synchronize ? 0x35 : 0x00; return 0;
  }
}

// Lengths of pieces that sum up to bytes: one, or many short and unaligned ones.
std::vector<std::uint32_t> cut(std::uint32_t bytes) {
  std::vector<std::uint32_t> lengths;
  const std::size_t pieces_max = dice().chance(0.5) ? 1 : dice().between(2, 12);
  while (lengths.size() + 1 < pieces_max && bytes > 1) {
    const auto length =
        static_cast<std::uint32_t>(dice().between(dice().chance(0.1) ? 0 : 1, bytes - 1));
    lengths.push_back(length);
    bytes -= length;
  }
  lengths.push_back(bytes);
  return lengths;
}

}  // namespace

std::uint64_t InitiatorChannel::next_tag() {
  const std::uint64_t count = owner.next_tag++;
  return dice().chance(0.1) ? count << 32 | 0xffffffff : count;
}

wire::Lun InitiatorChannel::lun_field(std::uint64_t lun) const {
  wire::Lun field{};
  if (dice().chance(0.2)) field[0] = 0x40;  // flat space
  field[1] = static_cast<std::uint8_t>(lun);
  return field;
}

// Gives the command memory with gaps between its pieces.
void InitiatorChannel::offer_memory(SentCommand& command, std::uint32_t bytes) {
  command.offered = bytes;
  std::uint64_t base = 0x7f00;
  for (int i = 0; i < 4; ++i) base = base << 8 | dice().noise();
  std::size_t offset = 0;
  std::uint32_t key = 0;
  for (const std::uint32_t length : cut(bytes)) {
    offset += dice().below(3);
    if (key == 0 || dice().chance(0.3)) {
      key = (owner.number << 24) | owner.next_key++;
      owner.regions[key] = {number, command.tag, base, base + bytes + 64, nullptr, false};
    }
    command.pieces.push_back({base + offset, key, length, offset});
    offset += length;
  }
  command.memory.resize(offset + 1);
  for (std::size_t i = 0; i < command.memory.size(); ++i) command.memory[i] = untouched(i);
}

namespace {

// The data of a write, over its pieces.
void put_data(SentCommand& command) {
  Bytes data(command.offered, 0x77);
  Ledger::fill({data.data(), std::min<std::size_t>(data.size(), command.blocks * block_bytes)},
               command.number, command.unit, command.lba);
  std::size_t taken = 0;
  for (const Piece& piece : command.pieces) {
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(taken), piece.bytes,
                command.memory.begin() + static_cast<std::ptrdiff_t>(piece.offset));
    taken += piece.bytes;
  }
}

}  // namespace

SentCommand InitiatorChannel::draw_command() {
  SentCommand command;
  command.tag = next_tag();
  if (dice().chance(0.2)) command.attribute = static_cast<wire::TaskAttribute>(dice().below(3));
  command.solnt = static_cast<std::uint8_t>(dice().chance(0.7) ? 0 : 2 * dice().below(4));
  command.kind = draw_kind();
  auto unit = site.luns.begin();
  std::advance(unit, static_cast<std::ptrdiff_t>(dice().below(site.luns.size())));
  const std::uint64_t unit_blocks = unit->second;
  command.unit = {site.tid, unit->first};
  const bool medium = command.kind == CommandKind::read || command.kind == CommandKind::write;
  if (medium && unit_blocks == 0) command.kind = CommandKind::test_unit_ready;
  if (command.kind == CommandKind::read || command.kind == CommandKind::write) {
    const std::uint64_t most = std::min<std::uint64_t>(owner.host.largest_command, unit_blocks);
    command.blocks = dice().chance(0.5) ? dice().between(1, 4) : dice().between(1, most);
    command.blocks = std::min(command.blocks, unit_blocks);
    command.lba = dice().below(unit_blocks - command.blocks + 1);
    fill_rw_cdb(command);
    if (command.kind == CommandKind::read)
      command.wanted = static_cast<std::uint32_t>(command.blocks * block_bytes);
  } else {
    command.wanted = fill_parameter_cdb(command);
    // A unit that is not there, now and then.
    if (dice().chance(0.1)) command.unit.lun = 77;
  }
  return command;
}

void InitiatorChannel::send_command() {
  if (!can_send()) return;
  SentCommand command = draw_command();
  const auto exact = static_cast<std::uint32_t>(command.blocks * block_bytes);
  if (command.kind == CommandKind::write) {
    std::uint32_t offered = exact;
    if (dice().chance(0.05)) offered += static_cast<std::uint32_t>(dice().between(1, 2000));
    if (dice().chance(0.05)) {
      offered = static_cast<std::uint32_t>(dice().between(1, exact - 1));
      command.demand = Demand::invalid_field;
    }
    command.data_out = true;
    Write write{command.unit, command.lba, command.blocks, static_cast<int>(owner.number)};
    write.since = the_world().tgtd->ledger.now();
    write.channel = number;
    write.barrier = command.attribute == wire::TaskAttribute::ordered;
    write.ahead = command.attribute == wire::TaskAttribute::head_of_queue;
    if (command.demand != Demand::by_kind) write.closed = "its memory is too short";
    command.number = the_world().tgtd->ledger.issue(write);
    command.immediate = immediate_offset != 0 && dice().chance(0.5) &&
                        immediate_offset + offered <= owner.host.iu_bytes_max;
    offer_memory(command, offered);
    put_data(command);
  } else if (command.kind == CommandKind::unmap) {
    command.cdb[0] = 0x42;
    command.cdb[8] = 24;
    command.data_out = true;
    offer_memory(command, 24);
  } else if (command.kind == CommandKind::read) {
    std::uint32_t offered = exact;
    if (dice().chance(0.1)) offered = static_cast<std::uint32_t>(dice().between(1, 2 * exact));
    offer_memory(command, offered);
  } else if (command.wanted != 0 || dice().chance(0.1)) {
    // Not always as much as the CDB asks for.
    offer_memory(command, dice().chance(0.5) ? std::max<std::uint32_t>(command.wanted, 1)
                                             : static_cast<std::uint32_t>(dice().between(1, 300)));
  }
  if (command.pieces.size() > 1 && dice().chance(0.3)) keep_table(command);
  Bytes iu = build(command);
  send(std::move(command), std::move(iu));
}

// Some of the descriptors will travel with the command; all of them lie here.
void InitiatorChannel::keep_table(SentCommand& command) {
  command.in_line = dice().below(command.pieces.size());
  for (const Piece& piece : command.pieces) {
    const wire::MemoryDesc descriptor{piece.address, piece.key, piece.bytes};
    const auto bytes = bytes_of(descriptor);
    command.table_memory.insert(command.table_memory.end(), bytes.begin(), bytes.end());
  }
  const std::uint32_t key = (owner.number << 24) | owner.next_key++;
  const std::uint64_t address = 0x7e0000000000 + dice().below(0x10000);
  const auto bytes = static_cast<std::uint32_t>(command.table_memory.size());
  command.table = {address, key, bytes, 0};
  owner.regions[key] = {number, command.tag, address, address + bytes, nullptr, false, true};
}

// SRP_CMD, with the descriptors of all pieces, or some, or with the data itself.
Bytes InitiatorChannel::build(const SentCommand& command) const {
  wire::Cmd head{};
  auto* raw = reinterpret_cast<std::uint8_t*>(&head);
  for (std::size_t i = 0; i < sizeof head; ++i)
    raw[i] = dice().noise();  // reserved fields are ignored
  head.opcode = static_cast<std::uint8_t>(wire::Opcode::cmd);
  head.solnt = command.solnt;
  std::memcpy(head.tag.bytes.data(), &command.tag, 8);
  head.lun = lun_field(command.unit.lun);
  head.task_attribute = static_cast<std::uint8_t>(command.attribute) | (dice().byte() & 0xf8);
  head.additional_cdb = dice().chance(0.1) ? 3 : 0;  // the low bits are reserved
  std::memcpy(head.cdb, command.cdb.data(), sizeof head.cdb);
  head.out_count = head.in_count = 0;
  if (command.immediate) return build_immediate(head, command);
  const bool indirect = command.pieces.size() > 1;
  const unsigned format = command.pieces.empty() ? 0 : indirect ? 2 : 1;
  head.buffer_formats = static_cast<std::uint8_t>(command.data_out ? format << 4 : format);
  const std::size_t in_line = std::min(command.pieces.size(), command.in_line);
  if (indirect) {
    (command.data_out ? head.out_count : head.in_count) = static_cast<std::uint8_t>(in_line);
  }

  Bytes iu(raw, raw + sizeof head);
  const auto append = [&iu](const auto& object) {
    const auto bytes = bytes_of(object);
    iu.insert(iu.end(), bytes.begin(), bytes.end());
  };
  if (indirect) {
    const auto table_bytes = static_cast<std::uint32_t>(16 * command.pieces.size());
    append(wire::IndirectDesc{{command.table.address, command.table.key, table_bytes},
                              command.offered});
  }
  for (std::size_t i = 0; i < in_line && i < command.pieces.size(); ++i) {
    const Piece& piece = command.pieces[i];
    append(wire::MemoryDesc{piece.address, piece.key, piece.bytes});
  }
  return iu;
}

// The same with the data behind it, and sometimes more that nobody asked for.
Bytes InitiatorChannel::build_immediate(wire::Cmd& head, const SentCommand& command) const {
  head.buffer_formats = 0x30;
  const auto raw = bytes_of(head);
  Bytes iu(raw.begin(), raw.end());
  const wire::ImmediateDesc descriptor{command.offered};
  const auto bytes = bytes_of(descriptor);
  iu.insert(iu.end(), bytes.begin(), bytes.end());
  while (iu.size() < immediate_offset) iu.push_back(dice().byte());
  for (const Piece& piece : command.pieces) {
    const auto from = command.memory.begin() + static_cast<std::ptrdiff_t>(piece.offset);
    iu.insert(iu.end(), from, from + piece.bytes);
  }
  const std::size_t room = owner.host.iu_bytes_max - iu.size();
  if (room != 0 && dice().chance(0.1)) iu.resize(iu.size() + dice().between(1, room), 0x5a);
  return iu;
}

void InitiatorChannel::send(SentCommand&& command, Bytes iu) {
  --credits;
  if (owner.host.strict_loss) owner.report_losses(site, /*all=*/false);
  if (std::ranges::find(owner.loose_resets, command.unit) != owner.loose_resets.end()) {
    command.optional = true;
    the_world().tgtd->ledger.excuse(command.number);
  }
  command.since = the_world().tgtd->ledger.now();
  trace(
      "initiator %u channel %u: tag %llx, command %02x to LUN %llu, LBA %llu + %llu, %u bytes, "
      "write %llu",
      owner.number, number, static_cast<unsigned long long>(command.tag), command.cdb[0],
      static_cast<unsigned long long>(command.unit.lun),
      static_cast<unsigned long long>(command.lba), static_cast<unsigned long long>(command.blocks),
      command.offered, static_cast<unsigned long long>(command.number));
  if (command.demand == Demand::cut) doomed = true;
  const std::uint64_t tag = command.tag;
  commands.emplace(tag, std::move(command));
  connection->wire.push_back(std::move(iu));
}

void InitiatorChannel::test_unit_ready() {
  SentCommand command;
  command.tag = next_tag();
  command.unit = {site.tid, 0};
  Bytes iu = build(command);
  send(std::move(command), std::move(iu));
}

void InitiatorChannel::read_or_write(CommandKind kind, const Unit& unit, std::uint64_t lba,
                                     std::uint64_t blocks) {
  SentCommand command;
  command.tag = next_tag();
  command.kind = kind;
  command.unit = unit;
  command.lba = lba;
  command.blocks = blocks;
  fill_rw_cdb(command);
  const auto bytes = static_cast<std::uint32_t>(blocks * block_bytes);
  if (kind == CommandKind::write) {
    command.data_out = true;
    Write write{unit, lba, blocks, static_cast<int>(owner.number)};
    write.since = the_world().tgtd->ledger.now();
    command.number = the_world().tgtd->ledger.issue(write);
  } else {
    command.wanted = bytes;
  }
  offer_memory(command, bytes);
  if (kind == CommandKind::write) put_data(command);
  Bytes iu = build(command);
  send(std::move(command), std::move(iu));
}

// ---- task management ----

void InitiatorChannel::send_task_iu(SentTask&& task) {
  wire::TskMgmt iu{};
  auto* raw = reinterpret_cast<std::uint8_t*>(&iu);
  for (std::size_t i = 0; i < sizeof iu; ++i) raw[i] = dice().noise();
  task.solnt = static_cast<std::uint8_t>(dice().chance(0.7) ? 0 : 2 * dice().below(4));
  iu.opcode = static_cast<std::uint8_t>(wire::Opcode::tsk_mgmt);
  iu.solnt = task.solnt;
  std::memcpy(iu.tag.bytes.data(), &task.tag, 8);
  std::memcpy(iu.task_tag.bytes.data(), &task.task_tag, 8);
  iu.lun = lun_field(task.unit.lun);
  iu.function = static_cast<std::uint8_t>(task.function);
  trace("initiator %u channel %u: task %llx, function %02x, LUN %llu, tag %llx", owner.number,
        number, static_cast<unsigned long long>(task.tag), iu.function,
        static_cast<unsigned long long>(task.unit.lun),
        static_cast<unsigned long long>(task.task_tag));
  --credits;
  const std::uint64_t tag = task.tag;
  tasks.emplace(tag, std::move(task));
  connection->wire.push_back({raw, raw + sizeof iu});
}

void InitiatorChannel::abort(const SentCommand& command) {
  SentTask task;
  task.tag = next_tag() | 0x80000000;
  task.function = wire::TaskFunction::abort_task;
  task.unit = command.unit;
  task.task_tag = command.tag;
  the_world().tgtd->ledger.excuse(command.number);
  task.covered.emplace_back(number, command.tag);
  send_task_iu(std::move(task));
}

// Channels know no order among each other: the target may look at a task first. All that it has
// taken off the completion queue it knows.
bool InitiatorChannel::target_has_seen_all() const {
  if (connection == nullptr || connection->qp == nullptr || !connection->wire.empty()) return false;
  for (const Completion& entry : static_cast<Cq*>(connection->qp->recv_cq)->entries) {
    if (entry.send_places == 0) return false;  // a receive
  }
  return true;
}

void InitiatorChannel::reset(const Unit& unit, wire::TaskFunction function) {
  SentTask task;
  task.tag = next_tag() | 0x80000000;
  task.function = function;
  task.unit = unit;
  task.task_tag = 0xffffffff;
  for (const auto& other : owner.channels) {
    if (&other->site != &site || other->state != State::up || other->doomed) continue;
    const bool seen = other.get() == this || other->target_has_seen_all();
    for (auto& [tag, command] : other->commands) {
      if (command.unit != unit) continue;
      the_world().tgtd->ledger.excuse(command.number);
      if (!seen) command.optional = true;
      if (seen) task.covered.emplace_back(other->number, tag);
    }
  }
  send_task_iu(std::move(task));
}

void InitiatorChannel::send_task() {
  if (!can_send()) return;
  const std::size_t roll = dice().below(10);
  if (roll < 6 && !commands.empty()) {
    std::vector<std::uint64_t> tags;
    for (const auto& [tag, command] : commands) {
      if (!command.aborting) tags.push_back(tag);
    }
    if (tags.empty()) return;
    std::ranges::sort(tags);
    SentCommand& command = commands.at(dice().pick(tags));
    command.aborting = true;
    return abort(command);
  }
  if (roll < 9) {
    auto unit = site.luns.begin();
    std::advance(unit, static_cast<std::ptrdiff_t>(dice().below(site.luns.size())));
    const wire::TaskFunction functions[] = {wire::TaskFunction::lun_reset,
                                            wire::TaskFunction::abort_task_set,
                                            wire::TaskFunction::clear_task_set};
    return reset({site.tid, dice().chance(0.1) ? 77 : unit->first}, functions[dice().below(3)]);
  }
  SentTask task;
  task.tag = next_tag() | 0x80000000;
  const std::uint8_t others[] = {0x00, 0x03, 0x10, 0x20, 0x80, 0xff, 0x40};
  task.function = static_cast<wire::TaskFunction>(others[dice().below(std::size(others))]);
  task.known_function = false;
  task.unit = {site.tid, 0};
  send_task_iu(std::move(task));
}

}  // namespace srp::fake
