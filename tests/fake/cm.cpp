// Messages between the two sides of a connection, and the events that they cause; see cm.h.
#include "tests/fake/cm.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace srp::fake {

namespace {

constexpr int rej_consumer_defined = 28;
constexpr int rej_invalid_service_id = 8;

using State = CmId::State;

}  // namespace

void CmConnection::answer(CmMessage message, int reason,
                          std::span<const std::uint8_t> private_data) {
  to_initiator.push_back({message, reason, {private_data.begin(), private_data.end()}});
}

void CmConnection::add_choices(Choices& choices) {
  if (!requested) return choices.add<&CmConnection::request_arrives>(4, *this);
  if (!to_target.empty()) choices.add<&CmConnection::message_to_target>(3, *this);
  if (!to_initiator.empty()) choices.add<&CmConnection::message_to_initiator>(3, *this);
  if (timewait) choices.add<&CmConnection::leave_timewait>(1, *this);
  if (may_time_out()) choices.add<&CmConnection::time_out>(1, *this);
}

void CmConnection::request_arrives() {
  requested = true;
  const bool by_gid = request.destination.ss_family == AF_IB;
  CmId* listener = hca->present ? the_world().cm->listener(request.port, by_gid) : nullptr;
  if (listener == nullptr) {
    answer(CmMessage::rej, rej_invalid_service_id);
    return;
  }
  Cm& cm = *the_world().cm;
  id = &cm.create_id(*static_cast<CmChannel*>(listener->channel), listener->context);
  id->state = State::request;
  id->hca = hca;
  id->verbs = hca->cm_context.get();
  id->port_num = 1;
  id->connection = this;
  id->route.addr.src_storage = request.destination;
  id->route.addr.dst_storage = request.source;
  if (by_gid) {
    auto& ends = id->route.addr.addr.ibaddr;
    ends.pkey = htons(0xffff);
    std::memcpy(&ends.sgid, &reinterpret_cast<sockaddr_ib&>(request.destination).sib_addr, 16);
    std::memcpy(&ends.dgid, &reinterpret_cast<sockaddr_ib&>(request.source).sib_addr, 16);
  }
  CmEvent& event = cm.raise(*id, RDMA_CM_EVENT_CONNECT_REQUEST);
  event.listen_id = listener;
  event.counted_on = listener;
  event.private_data = request.private_data;
  event.param.conn.private_data = event.private_data.data();
  event.param.conn.private_data_len = static_cast<std::uint8_t>(event.private_data.size());
  // Seen from the accepting side the two are exchanged.
  event.param.conn.initiator_depth = request.responder_resources;
  event.param.conn.responder_resources = request.initiator_depth;
  event.param.conn.retry_count = event.param.conn.rnr_retry_count = 7;
  event.param.conn.flow_control = 1;
}

void CmConnection::message_to_target() {
  const CmMessage message = to_target.front();
  to_target.pop_front();
  if (id == nullptr || id->state == State::closed) return;
  switch (message) {
    case CmMessage::rtu: return on_rtu();
    case CmMessage::rej: {
      // The kernel swallows what concerns a request that was not accepted yet.
      const bool told = id->state == State::replied;
      id->state = State::closed;
      if (told) the_world().cm->raise(*id, RDMA_CM_EVENT_REJECTED, rej_consumer_defined);
      return;
    }
    case CmMessage::dreq: return on_dreq();
    case CmMessage::drep:
      if (id->state != State::dreq_sent) return;
      id->state = State::closed;
      timewait = true;
      the_world().cm->raise(*id, RDMA_CM_EVENT_DISCONNECTED);
      return;
    case CmMessage::rep: return;
  }
}

void CmConnection::on_rtu() {
  if (id->state != State::replied || the_world().happens(Fault::rtu_lost)) return;
  id->state = State::established;
  the_world().cm->raise(*id, RDMA_CM_EVENT_ESTABLISHED);
}

void CmConnection::on_dreq() {
  switch (id->state) {
    case State::replied:
    case State::established: id->state = State::dreq_received; break;
    case State::dreq_sent:
      id->state = State::closed;
      timewait = true;
      break;
    case State::request: id->state = State::closed; return;
    default: return;
  }
  the_world().cm->raise(*id, RDMA_CM_EVENT_DISCONNECTED);
}

void CmConnection::message_to_initiator() {
  const ToInitiator message = std::move(to_initiator.front());
  to_initiator.pop_front();
  if (peer == nullptr) return;
  switch (message.message) {
    case CmMessage::rep: return peer->on_login_response(message.private_data);
    case CmMessage::rej: return peer->on_login_reject(message.reason, message.private_data);
    case CmMessage::dreq: send(CmMessage::drep); return peer->on_disconnect();
    default: return;
  }
}

bool CmConnection::may_time_out() const {
  if (id == nullptr || !to_target.empty() || !to_initiator.empty()) return false;
  return id->state == State::replied || id->state == State::dreq_sent;
}

// The kernel has repeated its message for long enough, or the repetition is answered at last.
void CmConnection::time_out() {
  if (id->state == State::dreq_sent) {
    id->state = State::closed;
    timewait = true;
    the_world().cm->raise(*id, RDMA_CM_EVENT_DISCONNECTED, -ETIMEDOUT);
  } else if (peer != nullptr && peer->reachable()) {
    send(CmMessage::rtu);
  } else {
    id->state = State::closed;
    the_world().cm->raise(*id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT);
  }
}

void CmConnection::leave_timewait() {
  timewait = false;
  if (id != nullptr) the_world().cm->raise(*id, RDMA_CM_EVENT_TIMEWAIT_EXIT);
}

// ---- all connections ----

Cm::Cm() = default;
Cm::~Cm() = default;

CmConnection& Cm::connect(Peer& peer, Hca& hca, ConnectRequest request) {
  connections.push_back(std::make_unique<CmConnection>());
  CmConnection& connection = *connections.back();
  connection.peer = &peer;
  connection.hca = &hca;
  connection.request = std::move(request);
  return connection;
}

CmId* Cm::listener(std::uint16_t port, bool by_gid) const {
  for (const auto& id : ids) {
    const sockaddr_storage& address = id->route.addr.src_storage;
    const bool fits = (address.ss_family == AF_IB) == by_gid && port_of(address) == port;
    if (id->state == State::listening && fits) return id.get();
  }
  return nullptr;
}

CmId& Cm::create_id(CmChannel& channel, void* context) {
  ids.push_back(std::make_unique<CmId>());
  CmId& id = *ids.back();
  id.channel = &channel;
  id.context = context;
  id.ps = RDMA_PS_TCP;
  id.qp_type = IBV_QPT_RC;
  ++channel.ids;
  return id;
}

CmEvent& Cm::raise(CmId& id, rdma_cm_event_type type, int status) {
  trace("event %s for identifier of connection %p", rdma_event_str(type),
        static_cast<void*>(id.connection));
  auto event = std::make_unique<CmEvent>();
  std::memset(static_cast<rdma_cm_event*>(event.get()), 0xa5, sizeof(rdma_cm_event));
  event->id = event->counted_on = &id;
  event->listen_id = nullptr;
  event->event = type;
  event->status = status;
  event->param.conn.private_data = nullptr;
  event->param.conn.private_data_len = 0;
  auto& events = static_cast<CmChannel*>(id.channel)->events;
  events.push_back(std::move(event));
  return *events.back();
}

void Cm::destroy_id(CmId& id) {
  if (id.unacked != 0)
    fail("rdma_destroy_id: %u events are not acknowledged, it blocks", id.unacked);
  auto& events = static_cast<CmChannel*>(id.channel)->events;
  // Requests that nobody has fetched go with their listener.
  std::vector<CmId*> orphans;
  for (const auto& event : events) {
    if (event->listen_id == &id) orphans.push_back(static_cast<CmId*>(event->id));
  }
  std::erase_if(events,
                [&](const auto& event) { return event->id == &id || event->listen_id == &id; });
  orphaned |= !orphans.empty();
  for (CmId* orphan : orphans) destroy_id(*orphan);

  if (CmConnection* connection = id.connection) {
    switch (id.state) {
      case State::request:
      case State::replied: connection->answer(CmMessage::rej, rej_consumer_defined); break;
      case State::established: connection->answer(CmMessage::dreq); break;
      default: break;
    }
    connection->id = nullptr;
  }
  --static_cast<CmChannel*>(id.channel)->ids;
  std::erase_if(ids, [&](const auto& one) { return one.get() == &id; });
}

void Cm::on_removal(Hca& hca) {
  for (auto& id : ids) {
    if (id->hca != &hca) continue;
    if (id->connection != nullptr) {
      // Nothing reaches the initiator any more; it notices in its own time.
      id->connection->to_initiator.clear();
      id->connection->answer(CmMessage::dreq);
    }
    if (id->state != State::request) raise(*id, RDMA_CM_EVENT_DEVICE_REMOVAL);
    id->state = State::closed;
  }
}

void Cm::add_choices(Choices& choices) {
  std::erase_if(connections, [](const auto& connection) { return connection->over(); });
  for (auto& connection : connections) connection->add_choices(choices);
}

void Cm::expect_nothing_left() const {
  if (!unacked.empty())
    fail("%zu events of the connection manager were never acknowledged", unacked.size());
  if (!ids.empty()) fail("%zu identifiers of the connection manager leaked", ids.size());
  if (!channels.empty())
    fail("%zu event channels of the connection manager leaked", channels.size());
}

}  // namespace srp::fake
