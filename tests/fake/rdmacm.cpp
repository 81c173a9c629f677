// The functions of librdmacm, over the objects of cm.h.
#include <rdma/rdma_cma.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/fake/cm.h"
#include "tests/fake/tgtd.h"

namespace srp::fake {

namespace {

using State = CmId::State;

CmId& of(rdma_cm_id* id) noexcept { return *static_cast<CmId*>(id); }

int refuse(int error) noexcept {
  errno = error;
  return -1;
}

bool has_device() noexcept {
  return std::ranges::any_of(the_world().fabric->hcas,
                             [](const auto& hca) { return hca->present; });
}

bool is_any(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_IB) {
    const std::uint8_t nobody[16] = {};
    const auto& ib = reinterpret_cast<const sockaddr_ib&>(address);
    return std::memcmp(&ib.sib_addr, nobody, sizeof nobody) == 0;
  }
  if (address.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr == 0;
  }
  return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

// Two listeners that would both get the same request.
bool collide(const CmId& one, const CmId& other) noexcept {
  const auto& a = one.route.addr;
  const auto& b = other.route.addr;
  if (port_of(a.src_storage) != port_of(b.src_storage)) return false;
  if (a.src_storage.ss_family == b.src_storage.ss_family) {
    return is_any(a.src_storage) || is_any(b.src_storage);
  }
  if (a.src_storage.ss_family == AF_IB || b.src_storage.ss_family == AF_IB) return false;
  const CmId& v6 = a.src_storage.ss_family == AF_INET6 ? one : other;
  return is_any(v6.route.addr.src_storage) && !v6.v6_only;
}

Qp* find_qp(std::uint32_t number) noexcept {
  for (auto& qp : the_world().fabric->qps) {
    if (qp->qp_num == number) return qp.get();
  }
  return nullptr;
}

void check_accepted(const CmId& id, const Qp* qp, const rdma_conn_param& param) {
  if (qp == nullptr) fail("rdma_accept: there is no QP %u", param.qp_num);
  if (qp->state != IBV_QPS_RTS) fail("rdma_accept: QP %u is in state %d", param.qp_num, qp->state);
  if (qp->receives.empty() && qp->shared == nullptr)
    fail("rdma_accept: QP %u has no receives", param.qp_num);
  if (param.initiator_depth == 0) fail("rdma_accept: initiator depth 0, every RDMA READ fails");
  if (param.initiator_depth < qp->read_depth) {
    fail("rdma_accept: READ depth %u of the QP, %u of the connection", qp->read_depth,
         param.initiator_depth);
  }
  if (param.initiator_depth > std::max<unsigned>(1, id.connection->request.responder_resources)) {
    fail("rdma_accept: READ depth %u, the initiator offered %u", param.initiator_depth,
         id.connection->request.responder_resources);
  }
  if (param.private_data_len != 52)
    fail("rdma_accept: %u bytes of private data", param.private_data_len);
}

}  // namespace

}  // namespace srp::fake

using namespace srp::fake;  // NOLINT: librdmacm's functions are in the global namespace

extern "C" {

rdma_event_channel* rdma_create_event_channel() {
  if (!has_device() || the_world().happens(Fault::create)) {
    errno = ENODEV;
    return nullptr;
  }
  auto& channels = the_world().cm->channels;
  channels.push_back(std::make_unique<CmChannel>());
  channels.back()->fd = eventfd(0, EFD_CLOEXEC);
  return channels.back().get();
}

void rdma_destroy_event_channel(rdma_event_channel* object) {
  auto* channel = static_cast<CmChannel*>(object);
  if (channel->ids != 0)
    fail("rdma_destroy_event_channel: %u identifiers are left on it", channel->ids);
  the_world().tgtd->expect_unwatched(channel->fd, "rdma_destroy_event_channel");
  close(channel->fd);
  std::erase_if(the_world().cm->channels, [&](const auto& one) { return one.get() == channel; });
}

int rdma_create_id(rdma_event_channel* channel, rdma_cm_id** id, void* context,
                   rdma_port_space space) {
  if (the_world().happens(Fault::create)) return refuse(ENOMEM);
  *id = &the_world().cm->create_id(*static_cast<CmChannel*>(channel), context);
  (*id)->ps = space;
  return 0;
}

int rdma_destroy_id(rdma_cm_id* id) {
  the_world().cm->destroy_id(of(id));
  return 0;
}

int rdma_set_option(rdma_cm_id* id, int, int option, void* value, std::size_t) {
  if (the_world().happens(Fault::listen)) return refuse(ENOSYS);
  if (option == RDMA_OPTION_ID_AFONLY) of(id).v6_only = *static_cast<int*>(value) != 0;
  return 0;
}

int rdma_bind_addr(rdma_cm_id* object, sockaddr* address) {
  CmId& id = of(object);
  if (id.state != State::idle) return refuse(EINVAL);
  if (the_world().happens(Fault::listen)) return refuse(EADDRNOTAVAIL);
  if (address->sa_family == AF_IB) {
    const auto& ib = *reinterpret_cast<sockaddr_ib*>(address);
    const std::uint64_t service = be64toh(ib.sib_sid & ib.sib_sid_mask);
    if (id.ps != RDMA_PS_IB || (service & RDMA_IB_IP_PS_MASK) != RDMA_IB_PS_IB)
      return refuse(EPROTONOSUPPORT);
    std::memcpy(&id.route.addr.src_storage, &ib, sizeof ib);
  } else if (address->sa_family == AF_INET6) {
    id.route.addr.src_sin6 = *reinterpret_cast<sockaddr_in6*>(address);
  } else {
    id.route.addr.src_sin = *reinterpret_cast<sockaddr_in*>(address);
  }
  for (const auto& other : the_world().cm->ids) {
    if (other.get() == &id || other->connection != nullptr || other->state == State::idle) continue;
    if (collide(id, *other)) return refuse(EADDRINUSE);
  }
  id.state = State::bound;
  return 0;
}

int rdma_listen(rdma_cm_id* id, int) {
  if (of(id).state != State::bound) return refuse(EINVAL);
  if (the_world().happens(Fault::listen)) return refuse(ENOMEM);
  of(id).state = State::listening;
  return 0;
}

int rdma_accept(rdma_cm_id* object, rdma_conn_param* param) {
  CmId& id = of(object);
  if (id.state != State::request) return refuse(EINVAL);
  if (the_world().happens(Fault::accept)) return refuse(ENOMEM);
  Qp* qp = find_qp(param->qp_num);
  check_accepted(id, qp, *param);
  id.state = State::replied;
  id.connection->qp = qp;
  qp->connection = id.connection;
  const auto* data = static_cast<const std::uint8_t*>(param->private_data);
  id.connection->answer(CmMessage::rep, 0, {data, param->private_data_len});
  return 0;
}

int rdma_reject(rdma_cm_id* object, const void* private_data, std::uint8_t bytes) {
  CmId& id = of(object);
  if (id.state != State::request && id.state != State::replied) return refuse(EINVAL);
  if (the_world().happens(Fault::reject)) return refuse(ENOMEM);
  id.state = State::closed;
  id.connection->answer(CmMessage::rej, 28,
                        {static_cast<const std::uint8_t*>(private_data), bytes});
  return 0;
}

int rdma_notify(rdma_cm_id* object, ibv_event_type) {
  CmId& id = of(object);
  if (id.state == State::established) return refuse(EISCONN);
  if (id.state != State::replied) return refuse(EINVAL);
  id.state = State::established;
  the_world().cm->raise(id, RDMA_CM_EVENT_ESTABLISHED);
  return 0;
}

int rdma_disconnect(rdma_cm_id* object) {
  CmId& id = of(object);
  switch (id.state) {
    case State::established:
      id.state = State::dreq_sent;
      id.connection->answer(CmMessage::dreq);
      return 0;
    case State::dreq_received:
      id.state = State::closed;
      id.connection->answer(CmMessage::drep);
      id.connection->timewait = true;
      return 0;
    case State::replied:  // nothing is sent, and nobody is told
    case State::dreq_sent:
    case State::closed: return 0;
    default: return refuse(EINVAL);
  }
}

int rdma_get_cm_event(rdma_event_channel* object, rdma_cm_event** event) {
  auto* channel = static_cast<CmChannel*>(object);
  if (channel->events.empty()) return nothing_to_read(channel->fd, "rdma_get_cm_event");
  auto& unacked = the_world().cm->unacked;
  unacked.push_back(std::move(channel->events.front()));
  channel->events.pop_front();
  ++unacked.back()->counted_on->unacked;
  *event = unacked.back().get();
  return 0;
}

int rdma_ack_cm_event(rdma_cm_event* event) {
  auto& unacked = the_world().cm->unacked;
  const auto found =
      std::ranges::find_if(unacked, [&](const auto& one) { return one.get() == event; });
  if (found == unacked.end()) fail("rdma_ack_cm_event: no such event, or acknowledged twice");
  --(*found)->counted_on->unacked;
  unacked.erase(found);
  return 0;
}

int rdma_init_qp_attr(rdma_cm_id* object, ibv_qp_attr* attr, int* mask) {
  CmId& id = of(object);
  if (id.state != State::request) return refuse(EINVAL);
  const ConnectRequest& request = id.connection->request;
  *mask = IBV_QP_STATE;
  switch (attr->qp_state) {
    case IBV_QPS_INIT:
      *mask |= IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX | IBV_QP_PORT;
      attr->port_num = 1;
      return 0;
    case IBV_QPS_RTR:
      *mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
               IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
      attr->max_dest_rd_atomic = request.initiator_depth;
      attr->min_rnr_timer = 0;
      return 0;
    case IBV_QPS_RTS:
      *mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
               IBV_QP_MAX_QP_RD_ATOMIC;
      attr->max_rd_atomic = request.responder_resources;
      return 0;
    default: return refuse(EINVAL);
  }
}

ibv_context** rdma_get_devices(int* count) {
  auto& hcas = the_world().fabric->hcas;
  auto** list = static_cast<ibv_context**>(std::calloc(hcas.size() + 1, sizeof(void*)));
  int found = 0;
  for (auto& hca : hcas) {
    if (hca->present) list[found++] = hca->cm_context.get();
  }
  if (count != nullptr) *count = found;
  return list;
}

void rdma_free_devices(ibv_context** list) { std::free(list); }

const char* rdma_event_str(rdma_cm_event_type event) {
  static const char* const names[] = {
      "ADDR_RESOLVED",   "ADDR_ERROR",       "ROUTE_RESOLVED", "ROUTE_ERROR",
      "CONNECT_REQUEST", "CONNECT_RESPONSE", "CONNECT_ERROR",  "UNREACHABLE",
      "REJECTED",        "ESTABLISHED",      "DISCONNECTED",   "DEVICE_REMOVAL",
      "MULTICAST_JOIN",  "MULTICAST_ERROR",  "ADDR_CHANGE",    "TIMEWAIT_EXIT"};
  return static_cast<std::size_t>(event) < std::size(names) ? names[event] : "unknown";
}

std::uint16_t rdma_get_src_port(rdma_cm_id* id) {
  return htons(port_of(id->route.addr.src_storage));
}
std::uint16_t rdma_get_dst_port(rdma_cm_id* id) {
  return htons(port_of(id->route.addr.dst_storage));
}

}  // extern "C"
