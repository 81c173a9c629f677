// Logins, connections and memory of an initiator; see initiator.h.
#include "tests/fake/initiator.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::fake {

namespace {

Random& dice() { return the_world().random; }

}  // namespace

Initiator::Initiator(unsigned initiator_number, Host& shared)
    : number(initiator_number), host(shared), by_gid(dice().chance(0.3)) {
  port_id[7] = static_cast<std::uint8_t>(number);
  port_id[8] = 0x02;
  port_id[15] = static_cast<std::uint8_t>(number);
}

Initiator::~Initiator() = default;

InitiatorChannel& Initiator::add_channel(Site& site) {
  channels.push_back(std::make_unique<InitiatorChannel>(*this, next_channel++, site));
  return *channels.back();
}

void Initiator::clean_up() {
  std::erase_if(channels, [](const auto& c) { return c->state == InitiatorChannel::State::down; });
}

void Initiator::doubt(const Site& site, const Unit& unit, const InitiatorChannel* by) {
  for (auto& channel : channels) {
    if (&channel->site != &site || channel.get() == by) continue;
    for (auto& [tag, command] : channel->commands) {
      if (command.unit != unit) continue;
      command.optional = true;
      the_world().tgtd->ledger.excuse(command.number);
    }
  }
}

void Initiator::report_losses(const Site& site, bool all) {
  const auto& qps = the_world().fabric->qps;
  std::erase_if(lost_writes, [&](const LostWrite& lost) {
    const bool unknown =
        std::ranges::any_of(qps, [&](const auto& qp) { return qp->qp_num == lost.qp_num; });
    if (lost.tid != site.tid || (unknown && !all)) return false;
    the_world().tgtd->ledger.lose(lost.number);
    return true;
  });
}

InitiatorChannel* Initiator::channel(unsigned channel_number) const {
  for (const auto& one : channels) {
    if (one->number == channel_number) return one.get();
  }
  return nullptr;
}

InitiatorChannel::InitiatorChannel(Initiator& initiator, unsigned channel_number, Site& target)
    : owner(initiator), number(channel_number), site(target) {}

InitiatorChannel::~InitiatorChannel() {
  if (connection != nullptr) connection->peer = nullptr;
}

// ---- logins ----

wire::LoginReqRdma InitiatorChannel::login_request(wire::MultiChannelAction wanted) const {
  wire::LoginReqRdma request{};
  for (auto& byte : request.tag.bytes) byte = dice().noise();
  const std::uint16_t formats[] = {0x0006, 0x0002, 0x0004, 0x0200};
  request.required_formats = formats[dice().below(4)];
  request.flags = static_cast<std::uint8_t>(wanted);
  if (dice().chance(0.6)) {
    // Linux's offset, others, and those that nobody can be granted.
    const std::uint16_t offsets[] = {68, 68, 68, 52, 72, 128, 48, 70, 60000};
    request.flags |= wire::immediate_requested;
    request.immediate_offset = offsets[dice().below(std::size(offsets))];
  }
  if (dice().chance(0.2)) request.flags |= 0x10;  // solicited notification of a logout
  request.max_iu_bytes = owner.host.iu_bytes_max;
  request.initiator_port = owner.port_id;
  request.target_port = site.port_id;
  for (auto& byte : request.reserved) byte = dice().noise();
  return request;
}

void InitiatorChannel::connect(Bytes private_data, bool by_gid) {
  ConnectRequest request;
  request.port = owner.host.port;
  request.private_data = std::move(private_data);
  request.responder_resources = static_cast<std::uint8_t>(dice().between(1, 8));
  auto& source = reinterpret_cast<sockaddr_in&>(request.source);
  source.sin_family = AF_INET;
  source.sin_port = htons(static_cast<std::uint16_t>(10000 + number));
  source.sin_addr.s_addr = htonl(0x0a000100 + owner.number);
  auto& destination = reinterpret_cast<sockaddr_in&>(request.destination);
  destination.sin_family = AF_INET;
  destination.sin_port = htons(owner.host.port);
  destination.sin_addr.s_addr = htonl(0x0a000001);
  if (by_gid) {
    request.source = gid_address(1, static_cast<std::uint8_t>(owner.number));
    request.destination = gid_address(0, 1);
  }
  Hca& hca = *owner.host.hcas[dice().below(owner.host.hcas.size())];
  connection = &the_world().cm->connect(*this, hca, std::move(request));
}

void InitiatorChannel::login(wire::MultiChannelAction wanted) {
  action = wanted;
  trace("initiator %u channel %u: login to target %d, action %d", owner.number, number, site.tid,
        static_cast<int>(wanted));
  log_in_with(login_request(wanted), ~std::size_t{0});
}

// In the form that belongs to its connection manager, cut to bytes_max.
void InitiatorChannel::log_in_with(const wire::LoginReqRdma& request, std::size_t bytes_max) {
  asked_ = request;
  const auto bytes = bytes_of(request);
  Bytes data = owner.by_gid ? in_ib_form(request) : Bytes{bytes.begin(), bytes.end()};
  data.resize(std::min(data.size(), bytes_max));
  connect(std::move(data), owner.by_gid);
}

void InitiatorChannel::login_with_nonsense() {
  wire::LoginReqRdma request = login_request(wire::MultiChannelAction::single);
  std::size_t length = ~std::size_t{0};
  switch (dice().below(7)) {
    case 0: length = dice().below(sizeof request); break;
    case 1: request.opcode = static_cast<std::uint8_t>(dice().between(1, 255)); break;
    case 2: request.max_iu_bytes = static_cast<std::uint32_t>(dice().below(64)); break;
    case 3: request.max_iu_bytes = owner.host.iu_bytes_max + 1; break;
    case 4: request.required_formats = std::uint16_t{0x0008}; break;
    case 5: request.flags |= 0x02; break;
    default: request.target_port[dice().below(16)] ^= 0x5a; break;
  }
  trace("initiator %u channel %u: login with nonsense", owner.number, number);
  must_be_refused = true;
  log_in_with(request, length);
}

// What the target promises is what was asked for, no less and no more.
void InitiatorChannel::check_grants(const wire::LoginRsp& rsp) {
  const std::size_t offset = asked_.immediate_offset;
  const bool asked = (asked_.flags & wire::immediate_requested) != 0;
  const bool granted =
      owner.host.immediate && asked && offset >= 52 && offset % 4 == 0 && offset < rsp.max_iu_bytes;
  std::uint8_t flags = granted ? wire::immediate_supported : 0;
  if ((asked_.flags & wire::solicited_mask) != 0) flags |= wire::solicited_supported;
  if ((rsp.flags & ~wire::action_mask) != flags) {
    fail("login response: flags %02x, request %02x, offset %zu", rsp.flags, asked_.flags, offset);
  }
  if (granted) immediate_offset = offset;
}

void InitiatorChannel::on_login_response(std::span<const std::uint8_t> private_data) {
  if (state != State::requesting || login_answered) return;
  login_answered = true;
  wire::LoginRsp rsp;
  if (private_data.size() < sizeof rsp) fail("login response of %zu bytes", private_data.size());
  std::memcpy(&rsp, private_data.data(), sizeof rsp);
  if (must_be_refused) fail("a login that is nonsense is accepted");
  if (rsp.opcode != static_cast<std::uint8_t>(wire::Opcode::login_rsp))
    fail("login response: opcode");
  if (std::memcmp(&rsp.tag, &asked_.tag, 8) != 0) fail("login response: tag");
  check_grants(rsp);
  if (rsp.max_iu_bytes < owner.host.iu_bytes_max)
    fail("login response: IU length below the request");
  if (rsp.request_limit_delta < 2) fail("login response: request limit");
  if (stranger) return take_leave();
  result = static_cast<wire::MultiChannelResult>(rsp.flags & wire::action_mask);
  credits = limit = static_cast<std::int64_t>(rsp.request_limit_delta);
  response_bytes_max = rsp.max_target_iu_bytes;
  // It may change its mind, or be gone, before it confirms.
  const double mood = static_cast<double>(dice().below(1000)) / 1000;
  const double leaves = the_world().faults.of(Fault::rtu_lost) / 4;
  if (mood < leaves) {
    connection->send(CmMessage::rej);
    return go_down("it declined");
  }
  if (mood < 2 * leaves) return vanish();
  state = State::up;
  if (connection->qp != nullptr) qp_num_ = connection->qp->qp_num;
  trace("initiator %u channel %u: up, request limit %lld", owner.number, number,
        static_cast<long long>(limit));
  if (result != wire::MultiChannelResult::maintained) {
    owner.report_losses(site, /*all=*/true);
    std::erase_if(owner.loose_resets, [&](const Unit& unit) { return unit.tid == site.tid; });
  }
  if (action == wire::MultiChannelAction::single) {
    // The target has ended the older channels, or is about to.
    for (auto& other : owner.channels) {
      if (other.get() != this && &other->site == &site && other->number < number &&
          other->state == State::up) {
        other->doomed = true;
        other->lose_writes();
      }
    }
  }
  connection->send(CmMessage::rtu);
}

void InitiatorChannel::on_login_reject(int reason, std::span<const std::uint8_t> private_data) {
  if (state == State::up) return on_disconnect();
  if (!private_data.empty()) {
    wire::LoginRej rej;
    if (private_data.size() < sizeof rej) fail("login reject of %zu bytes", private_data.size());
    std::memcpy(&rej, private_data.data(), sizeof rej);
    const std::uint32_t code = rej.reason;
    if (rej.opcode != static_cast<std::uint8_t>(wire::Opcode::login_rej) || code < 0x00010000 ||
        code > 0x00010006) {
      fail("login reject: opcode %02x, reason %08x", rej.opcode, code);
    }
    trace("initiator %u channel %u: rejected, SRP reason %08x", owner.number, number, code);
  } else {
    trace("initiator %u channel %u: rejected, reason %d", owner.number, number, reason);
    if (must_be_refused && reason == 28 && !the_world().faults.ever(Fault::reject) &&
        !the_world().cm->orphaned && !site.disturbed && connection->hca->present) {
      fail("a login is rejected without SRP_LOGIN_REJ");
    }
  }
  go_down("rejected");
}

// ---- the end of a channel ----

void InitiatorChannel::go_down(const char* why) {
  if (state == State::down) return;
  trace("initiator %u channel %u: down: %s, %zu commands unanswered", owner.number, number, why,
        commands.size());
  state = State::down;
  for (const auto& [tag, task] : tasks) {
    if (!task.known_function || task.function == wire::TaskFunction::abort_task) continue;
    owner.doubt(site, task.unit, this);
    owner.loose_resets.push_back(task.unit);
  }
  for (const auto& [tag, command] : commands) {
    if (command.number != 0) owner.lost_writes.push_back({site.tid, command.number, qp_num_});
  }
  std::vector<std::uint64_t> tags;
  for (const auto& [tag, command] : commands) tags.push_back(tag);
  for (const std::uint64_t tag : tags) forget(tag, "its channel is down");
  tasks.clear();
}

void InitiatorChannel::lose_writes() {
  for (const auto& [tag, command] : commands) the_world().tgtd->ledger.lose(command.number);
}

void InitiatorChannel::forget(std::uint64_t tag, const char* why) {
  const SentCommand& command = commands.at(tag);
  for (const Piece& piece : command.pieces) {
    const auto region = owner.regions.find(piece.key);
    if (region != owner.regions.end()) region->second.closed = why;
  }
  const auto table = owner.regions.find(command.table.key);
  if (table != owner.regions.end()) table->second.closed = why;
  commands.erase(tag);
}

void InitiatorChannel::on_disconnect() { go_down("the target disconnected"); }

void InitiatorChannel::on_queue_pair_error() {
  if (state != State::up) return;
  if (connection != nullptr) connection->send(CmMessage::dreq);
  go_down("its queue pair failed");
}

void InitiatorChannel::disconnect() {
  trace("initiator %u channel %u: disconnects", owner.number, number);
  connection->send(state == State::requesting ? CmMessage::rej : CmMessage::dreq);
  go_down("by itself");
}

// Power off: nothing is sent, and nothing is answered any more.
void InitiatorChannel::vanish() {
  trace("initiator %u channel %u: vanishes", owner.number, number);
  if (connection != nullptr) {
    connection->peer = nullptr;
    connection->to_target.clear();
  }
  connection = nullptr;
  go_down("powered off");
}

// ---- memory ----

std::uint8_t untouched(std::size_t offset) {
  return static_cast<std::uint8_t>(0xe0 | (offset % 13));
}

std::uint8_t* InitiatorChannel::memory(std::uint64_t address, std::uint32_t key, std::size_t bytes,
                                       RemoteAccess access) {
  const auto found = owner.regions.find(key);
  // A channel that has sent wild descriptors may have named any memory, and is refused.
  if (wild && (found == owner.regions.end() || !found->second.holds(address))) return nullptr;
  if (found == owner.regions.end()) fail("RDMA with key %x, which nobody has given", key);
  const Initiator::Region& region = found->second;
  if (region.bogus) return nullptr;
  if (region.closed != nullptr) {
    fail("initiator %u channel %u: RDMA to memory of tag %llx although %s", owner.number, number,
         static_cast<unsigned long long>(region.tag), region.closed);
  }
  if (region.channel != number) fail("RDMA to memory of another channel's command");
  SentCommand& command = commands.at(region.tag);
  if (region.table) {
    const std::size_t at = address - command.table.address;
    if (access != RemoteAccess::read && !wild) fail("a table of descriptors is written");
    if (wild && (access != RemoteAccess::read || bytes > command.table_memory.size() - at)) {
      return nullptr;
    }
    if (wild) return command.table_memory.data() + at;
    if (at < command.in_line * sizeof(wire::MemoryDesc) || at > command.table_memory.size() ||
        bytes > command.table_memory.size() - at) {
      fail("RDMA of %zu bytes at %zu of a table with %zu descriptors in the IU", bytes, at,
           command.in_line);
    }
    return command.table_memory.data() + at;
  }
  const bool any = command.demand == Demand::anything;
  if (command.data_out != (access == RemoteAccess::read)) {
    if (any) return nullptr;
    fail("RDMA in the wrong direction");
  }
  for (const Piece& piece : command.pieces) {
    if (piece.key != key || address < piece.address || bytes > piece.bytes ||
        address - piece.address > piece.bytes - bytes) {
      continue;
    }
    return command.memory.data() + piece.offset + (address - piece.address);
  }
  if (any) return nullptr;
  fail("RDMA of %zu bytes leaves the descriptors of tag %llx", bytes,
       static_cast<unsigned long long>(region.tag));
}

}  // namespace srp::fake
