// How work requests are carried out; see fabric.h.
#include "tests/fake/fabric.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tests/fake/cm.h"

namespace srp::fake {

namespace {

// What verbs leaves undefined is garbage here.
ibv_wc garbage() {
  ibv_wc wc;
  auto* bytes = reinterpret_cast<std::uint8_t*>(&wc);
  for (std::size_t i = 0; i < sizeof wc; ++i) bytes[i] = the_world().random.noise();
  // An enumeration may hold any wrong value, but not one that it cannot represent.
  const ibv_wc_opcode any[] = {IBV_WC_SEND, IBV_WC_RDMA_WRITE, IBV_WC_RDMA_READ, IBV_WC_RECV};
  wc.opcode = any[the_world().random.below(4)];
  return wc;
}

ibv_wc_status any_failure() {
  const ibv_wc_status all[] = {IBV_WC_RETRY_EXC_ERR, IBV_WC_RNR_RETRY_EXC_ERR, IBV_WC_REM_OP_ERR,
                               IBV_WC_LOC_PROT_ERR,  IBV_WC_FATAL_ERR,         IBV_WC_GENERAL_ERR};
  return all[the_world().random.below(std::size(all))];
}

ibv_wc_opcode completion_opcode(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_RDMA_READ: return IBV_WC_RDMA_READ;
    case IBV_WR_RDMA_WRITE: return IBV_WC_RDMA_WRITE;
    default: return IBV_WC_SEND;
  }
}

const char* name_of(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_RDMA_READ: return "READ";
    case IBV_WR_RDMA_WRITE: return "WRITE";
    default: return "SEND";
  }
}

}  // namespace

int nothing_to_read(int fd, const char* what) noexcept {
  if ((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) fail("%s on a blocking descriptor: tgtd hangs", what);
  errno = EAGAIN;
  return -1;
}

std::size_t SendWork::length() const noexcept {
  if (is_inline()) return bytes.size();
  std::size_t sum = 0;
  for (const auto& sge : sges) sum += sge.length;
  return sum;
}

void Cq::push(const Completion& completion) {
  if (entries.size() >= static_cast<std::size_t>(cqe))
    fail("completion queue overrun: %d entries", cqe);
  entries.push_back(completion);
  if (!armed) return;
  armed = false;
  if (channel != nullptr) static_cast<CompChannel*>(channel)->events.push_back(this);
}

// ---- queue pairs ----

void Qp::add_choices(Choices& choices) {
  if (!hca().present && hca().silent) return;
  if (state == IBV_QPS_ERR) {
    if (!sends.empty() || !receives.empty()) choices.add<&Qp::flush>(8, *this);
    if (connection && !connection->wire.empty()) choices.add<&Qp::bounce>(2, *this);
    return;
  }
  if (connection && !connection->wire.empty() && (state == IBV_QPS_RTR || state == IBV_QPS_RTS)) {
    if (!receive_works().empty()) {
      choices.add<&Qp::deliver>(8, *this);
    } else if (!starved && shared == nullptr && connection->peer && !connection->peer->overdrew()) {
      fail("receiver not ready: QP %u has no receive, and the initiator kept the request limit",
           qp_num);
    }
  }
  if (state != IBV_QPS_RTS) return;
  if (next_to_start() != nullptr) choices.add<&Qp::start>(8, *this);
  if (!sends.empty() && sends.front().started) choices.add<&Qp::complete>(8, *this);
}

void Qp::enter_error() {
  if (state != IBV_QPS_ERR) trace("QP %u enters the error state", qp_num);
  state = IBV_QPS_ERR;
}

// The initiator's IU arrives.
void Qp::deliver() {
  Bytes iu = std::move(connection->wire.front());
  connection->wire.pop_front();
  ReceiveWork work = std::move(receive_works().front());
  receive_works().pop_front();
  std::size_t room = 0;
  for (const auto& sge : work.sges) room += sge.length;
  for (const auto& sge : work.sges)
    the_world().fabric->check_local(*this, sge, IBV_ACCESS_LOCAL_WRITE);
  if (iu.size() > room || the_world().happens(Fault::receive)) {
    enter_error();
    if (connection->peer) connection->peer->on_queue_pair_error();
    complete_receive(work, iu.size() > room ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_PROT_ERR, 0);
    return;
  }
  trace("QP %u receives %zu bytes, opcode %02x", qp_num, iu.size(), iu.empty() ? 0 : iu[0]);
  the_world().fabric->scatter(*this, work.sges, iu);
  complete_receive(work, IBV_WC_SUCCESS, iu.size());
}

// An IU meets a queue pair in the error state: its sender gives up.
void Qp::bounce() {
  connection->wire.clear();
  if (connection->peer) connection->peer->on_queue_pair_error();
}

SendWork* Qp::next_to_start() noexcept {
  unsigned reads = 0;
  for (auto& work : sends) {
    if (work.status != IBV_WC_SUCCESS) return nullptr;  // nothing overtakes a failure
    if (work.started) {
      reads += work.opcode == IBV_WR_RDMA_READ;
      continue;
    }
    if ((work.flags & IBV_SEND_FENCE) != 0 && reads != 0) return nullptr;
    if (work.opcode == IBV_WR_RDMA_READ && reads >= read_depth) return nullptr;
    return &work;
  }
  return nullptr;
}

// The request of a work request reaches the far end.
void Qp::start() {
  SendWork& work = *next_to_start();
  work.started = true;
  if (!work.is_inline() && work.opcode != IBV_WR_RDMA_READ) {
    the_world().fabric->gather(*this, work.sges, work.bytes);
  }
  if (connection == nullptr || connection->peer == nullptr || !connection->peer->reachable()) {
    work.status = IBV_WC_RETRY_EXC_ERR;
    return;
  }
  carry_out(work);
}

void Qp::carry_out(SendWork& work) {
  Peer& peer = *connection->peer;
  const std::size_t length = work.length();
  trace("QP %u %s %zu bytes", qp_num, name_of(work.opcode), length);
  if (work.opcode == IBV_WR_SEND) {
    peer.on_iu(work.bytes);
    return;
  }
  if (length == 0) return;
  const auto access = work.opcode == IBV_WR_RDMA_READ ? RemoteAccess::read : RemoteAccess::write;
  std::uint8_t* memory = peer.memory(work.remote_address, work.rkey, length, access);
  if (memory == nullptr) {
    work.status = IBV_WC_REM_ACCESS_ERR;
    peer.on_queue_pair_error();
  } else if (access == RemoteAccess::read) {
    work.bytes.assign(memory, memory + length);
  } else {
    std::memcpy(memory, work.bytes.data(), length);
  }
}

// The oldest work request is over, and its memory is the driver's again.
void Qp::complete() {
  SendWork work = std::move(sends.front());
  sends.pop_front();
  if (work.status == IBV_WC_SUCCESS && the_world().happens(Fault::completion)) {
    work.status = any_failure();
  }
  if (work.status != IBV_WC_SUCCESS) {
    enter_error();
    complete_send(work, work.status);
    return;
  }
  if (work.opcode == IBV_WR_RDMA_READ) {
    the_world().fabric->scatter(*this, work.sges, work.bytes);
  } else if (!work.is_inline()) {
    Bytes now;
    the_world().fabric->gather(*this, work.sges, now);
    if (now != work.bytes) {
      fail("QP %u: the memory of a %s changed before it completed", qp_num, name_of(work.opcode));
    }
  }
  if (signal_all || (work.flags & IBV_SEND_SIGNALED) != 0) {
    complete_send(work, IBV_WC_SUCCESS);
  } else {
    ++unsignaled;
  }
}

// One work request of a broken queue pair, of either queue.
void Qp::flush() {
  const bool of_sends = receives.empty() || (!sends.empty() && the_world().random.chance(0.5));
  if (of_sends) return flush_send();
  ReceiveWork work = std::move(receives.front());
  receives.pop_front();
  complete_receive(work, IBV_WC_WR_FLUSH_ERR, 0);
}

void Qp::flush_send() {
  SendWork work = std::move(sends.front());
  sends.pop_front();
  // What was on its way when the queue pair broke may still have been placed.
  if (work.started && work.status == IBV_WC_SUCCESS && work.opcode == IBV_WR_RDMA_READ &&
      the_world().random.chance(0.5)) {
    the_world().fabric->scatter(*this, work.sges, work.bytes);
  }
  complete_send(work, IBV_WC_WR_FLUSH_ERR);
}

void Qp::complete_receive(ReceiveWork& work, ibv_wc_status status, std::size_t bytes) {
  Completion completion{garbage(), this, 0, shared == nullptr ? 1U : 0U};
  completion.wc.wr_id = work.wr_id;
  completion.wc.status = status;
  completion.wc.qp_num = qp_num;
  if (status == IBV_WC_SUCCESS) {
    completion.wc.opcode = IBV_WC_RECV;
    completion.wc.byte_len = static_cast<std::uint32_t>(bytes);
    completion.wc.wc_flags = 0;
  }
  static_cast<Cq*>(recv_cq)->push(completion);
}

void Qp::complete_send(const SendWork& work, ibv_wc_status status) {
  Completion completion{garbage(), this, unsignaled + 1, 0};
  unsignaled = 0;
  completion.wc.wr_id = work.wr_id;
  completion.wc.status = status;
  completion.wc.qp_num = qp_num;
  if (status == IBV_WC_SUCCESS) {
    completion.wc.opcode = completion_opcode(work.opcode);
    if (work.opcode == IBV_WR_RDMA_READ) {
      completion.wc.byte_len = static_cast<std::uint32_t>(work.length());
    }
    completion.wc.wc_flags = 0;
  } else {
    trace("QP %u %s ends with status %d", qp_num, name_of(work.opcode), status);
  }
  static_cast<Cq*>(send_cq)->push(completion);
}

// ---- memory ----

void Fabric::check_local(unsigned who, const ibv_pd* pd, const ibv_sge& sge, int access) const {
  if (sge.length == 0) return;
  for (const auto& mr : mrs) {
    if (mr->lkey != sge.lkey) continue;
    const auto first = reinterpret_cast<std::uint64_t>(mr->addr);
    if (mr->pd != pd) fail("QP %u uses an lkey of another PD", who);
    if ((mr->access & access) != access) fail("QP %u uses an lkey without access %d", who, access);
    if (sge.addr < first || sge.addr + sge.length > first + mr->length) {
      fail("QP %u: a piece of %u bytes leaves its memory region", who, sge.length);
    }
    return;
  }
  fail("QP %u uses lkey %x, which is not registered", who, sge.lkey);
}

void Fabric::gather(const Qp& qp, std::span<const ibv_sge> sges, Bytes& bytes) const {
  bytes.clear();
  for (const auto& sge : sges) {
    check_local(qp, sge, 0);
    const auto* from = reinterpret_cast<const std::uint8_t*>(sge.addr);
    bytes.insert(bytes.end(), from, from + sge.length);
  }
}

void Fabric::scatter(const Qp& qp, std::span<const ibv_sge> sges,
                     std::span<const std::uint8_t> bytes) const {
  for (const auto& sge : sges) {
    const std::size_t part = std::min<std::size_t>(sge.length, bytes.size());
    if (part == 0) return;
    check_local(qp, sge, IBV_ACCESS_LOCAL_WRITE);
    std::memcpy(reinterpret_cast<void*>(sge.addr), bytes.data(), part);
    bytes = bytes.subspan(part);
  }
}

// ---- devices ----

Hca::Hca(unsigned number) {
  std::snprintf(device.name, sizeof device.name, "fake%u", number);
  device.node_type = IBV_NODE_CA;
  device.transport_type = IBV_TRANSPORT_IB;
  limits.max_qp = 1024;
  limits.max_qp_wr = 16384;
  limits.max_sge = 4;
  limits.max_sge_rd = 4;
  limits.max_srq = 64;
  limits.max_srq_wr = 4096;
  limits.max_srq_sge = 1;
  limits.max_cq = 1024;
  limits.max_cqe = 65535;
  limits.max_mr = 1024;
  limits.max_pd = 64;
  limits.max_qp_rd_atom = 16;
  limits.max_qp_init_rd_atom = 16;
  limits.phys_port_cnt = 1;
  limits.max_mr_size = ~std::uint64_t{0};
  cm_context = std::make_unique<Context>(*this, /*of_cm=*/true);
}

Hca::~Hca() = default;

Fabric::Fabric() = default;
Fabric::~Fabric() = default;

Hca& Fabric::add_hca() {
  hcas.push_back(std::make_unique<Hca>(static_cast<unsigned>(hcas.size())));
  return *hcas.back();
}

void Fabric::remove(Hca& hca) {
  trace("device %s is removed", hca.device.name);
  hca.present = false;
  hca.silent = the_world().random.chance(0.5);
  for (auto& qp : qps) {
    if (&qp->hca() == &hca) qp->enter_error();
  }
  for (auto& context : contexts) {
    if (&context->hca != &hca) continue;
    ibv_async_event event{};
    event.event_type = IBV_EVENT_DEVICE_FATAL;
    context->events.push_back(event);
  }
  the_world().cm->on_removal(hca);
}

void Fabric::add_choices(Choices& choices) {
  for (auto& qp : qps) qp->add_choices(choices);
}

void Fabric::expect_nothing_left() const {
  if (!qps.empty()) fail("%zu queue pairs leaked", qps.size());
  if (!srqs.empty()) fail("%zu shared receive queues leaked", srqs.size());
  if (!cqs.empty()) fail("%zu completion queues leaked", cqs.size());
  if (!channels.empty()) fail("%zu completion channels leaked", channels.size());
  if (!mrs.empty()) fail("%zu memory regions leaked", mrs.size());
  if (!pds.empty()) fail("%zu protection domains leaked", pds.size());
  if (!contexts.empty()) fail("%zu device contexts leaked", contexts.size());
}

}  // namespace srp::fake
