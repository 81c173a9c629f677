// What chance makes an initiator send: any bytes, or what is good with some bytes changed; see
// initiator.h. Nobody knows beforehand what it means, but some things hold whatever it means.
#include <algorithm>
#include <cstring>

#include "tests/fake/initiator.h"
#include "tests/fake/login_rules.h"
#include "tests/fake/scsi.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::fake {

namespace {

Random& dice() { return the_world().random; }

// What an IU deserves, by its opcode and length alone.
enum class Fate : std::uint8_t { command, task, ignored, cut };

Fate fate_of(const Bytes& iu, std::size_t room) {
  if (iu.empty() || iu.size() > room) return Fate::cut;
  switch (static_cast<wire::Opcode>(iu[0])) {
    case wire::Opcode::cmd: return iu.size() >= sizeof(wire::Cmd) ? Fate::command : Fate::cut;
    case wire::Opcode::tsk_mgmt: return iu.size() >= sizeof(wire::TskMgmt) ? Fate::task : Fate::cut;
    case wire::Opcode::cred_rsp:
    case wire::Opcode::aer_rsp: return iu.size() >= 16 ? Fate::ignored : Fate::cut;
    default: return Fate::cut;
  }
}

// The unit that a LUN field names (SAM): one of the first level, or none that anybody has.
std::uint64_t number_of(const wire::Lun& lun) {
  constexpr std::uint64_t none = ~std::uint64_t{0};
  if (lun == wire::Lun{0xc1, 0x01}) return 0;  // REPORT LUNS, which everybody has
  if (std::any_of(lun.begin() + 2, lun.end(), [](std::uint8_t byte) { return byte != 0; })) {
    return none;
  }
  return lun[0] >> 6 > 1 ? none : static_cast<std::uint64_t>(lun[0] & 0x3f) << 8 | lun[1];
}

void change_one(Bytes& bytes) {
  const std::size_t at = dice().below(bytes.size());
  switch (dice().below(4)) {
    case 0: bytes[at] = dice().byte(); return;
    case 1: bytes[at] ^= static_cast<std::uint8_t>(1U << dice().below(8)); return;
    case 2: bytes[at] = static_cast<std::uint8_t>(dice().below(5)); return;
    default: {
      const std::uint32_t edges[] = {0, 1, 15, 16, 512, 0x7fffffff, 0x80000000, 0xffffffff};
      const wire::Be32 edge{edges[dice().below(std::size(edges))]};
      std::memcpy(bytes.data() + at, &edge, std::min(sizeof edge, bytes.size() - at));
    }
  }
}

// A few bytes are others, now and then also the length, which stays below limit.
void mutate(Bytes& bytes, std::size_t limit) {
  for (std::size_t count = dice().below(5); count > 0; --count) change_one(bytes);
  const std::size_t roll = dice().below(8);
  if (roll == 0) bytes.resize(dice().below(bytes.size() + 1));
  if (roll == 1) bytes.resize(std::min(limit, bytes.size() + dice().between(1, 300)), 0x5a);
}

Bytes any_bytes(std::size_t limit) {
  Bytes bytes(dice().below(std::min<std::size_t>(limit, 255)) + dice().below(2) * 256);
  bytes.resize(std::min(bytes.size(), limit));
  for (auto& byte : bytes) byte = dice().byte();
  if (!bytes.empty() && dice().chance(0.8)) {
    bytes[0] =
        static_cast<std::uint8_t>(dice().chance(0.8) ? wire::Opcode::cmd : wire::Opcode::tsk_mgmt);
  }
  return bytes;
}

}  // namespace

// ---- IUs ----

SentCommand InitiatorChannel::draw_wild_command() {
  SentCommand command = draw_command();
  command.demand = Demand::anything;
  if (dice().chance(0.3)) command.unit.lun = wild_lun;
  command.data_out = command.kind == CommandKind::write || command.kind == CommandKind::unmap;
  const auto medium = static_cast<std::uint32_t>(command.blocks * block_bytes);
  if (dice().chance(0.8)) offer_memory(command, std::max({medium, command.wanted, 1U}));
  command.immediate = immediate_offset != 0 && command.data_out && dice().chance(0.3) &&
                      immediate_offset + command.offered <= owner.host.iu_bytes_max;
  if (command.pieces.size() > 1 && dice().chance(0.3)) keep_table(command);
  return command;
}

Bytes InitiatorChannel::mutated(SentCommand& command) {
  command = draw_wild_command();
  Bytes iu = build(command);
  mutate(iu, owner.host.iu_bytes_max + 1);
  return iu;
}

// Whatever the IU says, it writes only where nobody looks, and no other request bears its tag.
Bytes InitiatorChannel::tame(Bytes iu, std::uint64_t tag) const {
  const wire::Lun nowhere{0, wild_lun};
  const Fate fate = fate_of(iu, owner.host.iu_bytes_max);
  if (fate == Fate::command) {
    auto& head = *reinterpret_cast<wire::Cmd*>(iu.data());
    std::memcpy(head.tag.bytes.data(), &tag, sizeof tag);
    if (is_write(head.cdb[0])) head.lun = nowhere;
  } else if (fate == Fate::task) {
    auto& head = *reinterpret_cast<wire::TskMgmt*>(iu.data());
    std::memcpy(head.tag.bytes.data(), &tag, sizeof tag);
    // Byte 1 decides which of our units it is, in whatever way the field is read.
    if (head.lun[1] < wild_lun) head.lun = nowhere;
    head.task_tag = {{0xee, 0xee}};
  }
  return iu;
}

void InitiatorChannel::send_wild() {
  if (!can_send()) return;
  SentCommand command;
  const std::size_t longest = owner.host.iu_bytes_max + std::size_t{1};
  Bytes drawn = dice().chance(0.3) ? any_bytes(longest) : mutated(command);
  if (command.tag == 0) command.tag = next_tag();
  Bytes iu = tame(std::move(drawn), command.tag);
  wild = true;
  command.demand = Demand::anything;
  trace("initiator %u channel %u: a wild IU of %zu bytes, opcode %02x", owner.number, number,
        iu.size(), iu.empty() ? 0 : iu[0]);
  const Fate fate = fate_of(iu, owner.host.iu_bytes_max);
  if (fate == Fate::command) {
    command.unit = {site.tid, number_of(reinterpret_cast<const wire::Cmd*>(iu.data())->lun)};
    command.solnt = iu[1];
    return send(std::move(command), std::move(iu));
  }
  for (const Piece& piece : command.pieces) owner.regions[piece.key].closed = "no command says so";
  if (!command.table_memory.empty()) owner.regions[command.table.key].closed = "no command says so";
  if (fate == Fate::task) return send_wild_task(command.tag, std::move(iu));
  if (fate == Fate::cut) doomed = true;
  connection->wire.push_back(std::move(iu));
}

void InitiatorChannel::send_wild_task(std::uint64_t tag, Bytes iu) {
  SentTask task;
  task.tag = tag;
  task.unit = {site.tid, number_of(reinterpret_cast<const wire::TskMgmt*>(iu.data())->lun)};
  task.wild = true;
  task.solnt = iu[1];
  // If it is a reset, commands to that unit may stay without an answer, older and later ones.
  owner.doubt(site, task.unit, nullptr);
  owner.loose_resets.push_back(task.unit);
  --credits;
  tasks.emplace(tag, std::move(task));
  connection->wire.push_back(std::move(iu));
}

// ---- logins ----

void InitiatorChannel::login_wild() {
  Bytes data;
  if (dice().chance(0.2)) {
    data = any_bytes(196);  // as much as RDMA/CM carries on InfiniBand
  } else {
    const auto request = login_request(wire::MultiChannelAction::single);
    const auto bytes = bytes_of(request);
    data.assign(bytes.begin(), bytes.end());
    mutate(data, 196);
  }
  if (data.size() > 16) data[16] = 0xee;  // nobody else's name
  stranger = true;
  LoginRules rules{owner.host.iu_bytes_max, {}};
  for (const auto& other : owner.host.sites) rules.target_ports.push_back(other->port_id);
  must_be_refused = !reasons_to_refuse(data, rules).empty();
  trace("initiator %u channel %u: a wild login of %zu bytes", owner.number, number, data.size());
  std::copy_n(data.begin(), std::min(data.size(), sizeof asked_),
              reinterpret_cast<std::uint8_t*>(&asked_));
  connect(std::move(data), /*by_gid=*/false);
  connection->request.responder_resources = dice().byte();
  connection->request.initiator_depth = dice().byte();
}

// A login that was meant to go nowhere has come through.
void InitiatorChannel::take_leave() {
  switch (dice().below(4)) {
    case 0: return vanish();
    case 1: connection->send(CmMessage::rej); break;
    case 2: connection->send(CmMessage::dreq); break;
    default: connection->send(CmMessage::rtu); connection->send(CmMessage::dreq);
  }
  go_down("it was not meant");
}

}  // namespace srp::fake
