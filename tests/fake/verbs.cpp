// The functions of libibverbs, over the objects of fabric.h.
#include <infiniband/verbs.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/fake/fabric.h"
#include "tests/fake/tgtd.h"

// Macros of verbs.h whose functions are defined here.
#undef ibv_query_port
#undef ibv_reg_mr

namespace srp::fake {

namespace {

template <class T, class Base>
T& of(Base* object) noexcept {
  return *static_cast<T*>(object);
}

// A system call of the control path that may fail; true with errno set if it does.
bool refused(const ibv_context* context, Fault fault) noexcept {
  if (!static_cast<const Context*>(context)->hca.present) {
    errno = EIO;
    return true;
  }
  if (!the_world().happens(fault)) return false;
  errno = ENOMEM;
  return true;
}

template <class T>
void erase(std::vector<std::unique_ptr<T>>& all, const T* object, const char* what) {
  const auto found =
      std::ranges::find_if(all, [&](const auto& one) { return one.get() == object; });
  if (found == all.end()) fail("%s: no such object, or destroyed twice", what);
  all.erase(found);
}

// ---- the data path, reached through ibv_context::ops ----

int poll_cq(ibv_cq* object, int count, ibv_wc* wcs) {
  auto& cq = of<Cq>(object);
  int taken = 0;
  for (; taken < count && !cq.entries.empty(); ++taken) {
    const Completion& completion = cq.entries.front();
    wcs[taken] = completion.wc;
    if (completion.qp != nullptr) {
      completion.qp->send_places -= completion.send_places;
      completion.qp->receive_places -= completion.receive_places;
    }
    cq.entries.pop_front();
  }
  return taken;
}

int req_notify_cq(ibv_cq* object, int solicited_only) {
  if (solicited_only != 0) fail("only solicited completions are asked for");
  of<Cq>(object).armed = true;
  return 0;
}

SendWork copy_of(const Qp& qp, const ibv_send_wr& wr) {
  SendWork work{wr.wr_id, wr.opcode, wr.send_flags, 0, 0, {}, {}, false, IBV_WC_SUCCESS};
  if (wr.opcode == IBV_WR_RDMA_READ || wr.opcode == IBV_WR_RDMA_WRITE) {
    work.remote_address = wr.wr.rdma.remote_addr;
    work.rkey = wr.wr.rdma.rkey;
  } else if (wr.opcode != IBV_WR_SEND) {
    fail("QP %u: opcode %d is posted", qp.qp_num, wr.opcode);
  }
  const std::span<const ibv_sge> sges{wr.sg_list, static_cast<std::size_t>(wr.num_sge)};
  if (sges.size() > qp.cap.max_send_sge) fail("QP %u: %d pieces are posted", qp.qp_num, wr.num_sge);
  if (work.is_inline()) {
    for (const auto& sge : sges) {
      const auto* from = reinterpret_cast<const std::uint8_t*>(sge.addr);
      work.bytes.insert(work.bytes.end(), from, from + sge.length);
    }
    if (work.opcode == IBV_WR_RDMA_READ || work.bytes.size() > qp.cap.max_inline_data) {
      fail("QP %u: %zu bytes are posted inline", qp.qp_num, work.bytes.size());
    }
    return work;
  }
  const int access = wr.opcode == IBV_WR_RDMA_READ ? IBV_ACCESS_LOCAL_WRITE : 0;
  for (const auto& sge : sges) the_world().fabric->check_local(qp, sge, access);
  work.sges.assign(sges.begin(), sges.end());
  if (work.length() > qp.hca().message_bytes_max) {
    fail("QP %u: a message of %zu bytes", qp.qp_num, work.length());
  }
  return work;
}

int post_send(ibv_qp* object, ibv_send_wr* wr, ibv_send_wr** bad) {
  auto& qp = of<Qp>(object);
  for (; wr != nullptr; wr = wr->next) {
    *bad = wr;
    if (qp.state != IBV_QPS_RTS && qp.state != IBV_QPS_ERR) return EINVAL;
    if (qp.send_places >= qp.cap.max_send_wr) return ENOMEM;
    if (the_world().happens(Fault::post_send)) return ENOMEM;
    qp.sends.push_back(copy_of(qp, *wr));
    ++qp.send_places;
  }
  return 0;
}

int post_recv(ibv_qp* object, ibv_recv_wr* wr, ibv_recv_wr** bad) {
  auto& qp = of<Qp>(object);
  for (; wr != nullptr; wr = wr->next) {
    *bad = wr;
    if (qp.state == IBV_QPS_RESET) return EINVAL;
    if (qp.receive_places >= qp.cap.max_recv_wr || the_world().happens(Fault::post_recv)) {
      qp.starved = true;
      return ENOMEM;
    }
    const std::span<const ibv_sge> sges{wr->sg_list, static_cast<std::size_t>(wr->num_sge)};
    if (sges.size() > qp.cap.max_recv_sge)
      fail("QP %u: a receive of %d pieces", qp.qp_num, wr->num_sge);
    for (const auto& sge : sges) the_world().fabric->check_local(qp, sge, IBV_ACCESS_LOCAL_WRITE);
    qp.receives.push_back({wr->wr_id, {sges.begin(), sges.end()}});
    ++qp.receive_places;
  }
  return 0;
}

int post_srq_recv(ibv_srq* object, ibv_recv_wr* wr, ibv_recv_wr** bad) {
  auto& srq = of<Srq>(object);
  for (; wr != nullptr; wr = wr->next) {
    *bad = wr;
    if (srq.receives.size() >= srq.size || the_world().happens(Fault::post_recv)) return ENOMEM;
    const std::span<const ibv_sge> sges{wr->sg_list, static_cast<std::size_t>(wr->num_sge)};
    for (const auto& sge : sges) {
      the_world().fabric->check_local(0, srq.pd, sge, IBV_ACCESS_LOCAL_WRITE);
    }
    srq.receives.push_back({wr->wr_id, {sges.begin(), sges.end()}});
  }
  return 0;
}

bool legal(ibv_qp_state from, ibv_qp_state to) noexcept {
  if (to == IBV_QPS_ERR || to == IBV_QPS_RESET) return true;
  return (from == IBV_QPS_RESET && to == IBV_QPS_INIT) ||
         (from == IBV_QPS_INIT && (to == IBV_QPS_RTR || to == IBV_QPS_INIT)) ||
         (from == IBV_QPS_RTR && to == IBV_QPS_RTS) || (from == IBV_QPS_RTS && to == IBV_QPS_RTS);
}

void require_attributes(ibv_qp_state to, int mask) {
  constexpr int init = IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS;
  constexpr int rtr = IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                      IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
  constexpr int rts = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                      IBV_QP_MAX_QP_RD_ATOMIC;
  const int wanted = to == IBV_QPS_INIT  ? init
                     : to == IBV_QPS_RTR ? rtr
                     : to == IBV_QPS_RTS ? rts
                                         : 0;
  if ((mask & wanted) != wanted) fail("ibv_modify_qp: attributes %x are missing", wanted & ~mask);
}

}  // namespace

Context::Context(Hca& its_hca, bool librdmacm) : ibv_context{}, hca(its_hca), of_cm(librdmacm) {
  device = &hca.device;
  ops.poll_cq = poll_cq;
  ops.req_notify_cq = req_notify_cq;
  ops.post_send = post_send;
  ops.post_recv = post_recv;
  ops.post_srq_recv = post_srq_recv;
  num_comp_vectors = 1 + static_cast<int>(the_world().random.below(4));
  cmd_fd = -1;
  async_fd = eventfd(0, EFD_CLOEXEC);
}

Context::~Context() { close(async_fd); }

}  // namespace srp::fake

using namespace srp::
    fake;  // NOLINT: the functions below belong to verbs' own namespace, the global one

extern "C" {

int ibv_fork_init() { return 0; }
enum ibv_fork_status ibv_is_fork_initialized() { return IBV_FORK_UNNEEDED; }

ibv_context* ibv_open_device(ibv_device* device) {
  for (auto& hca : the_world().fabric->hcas) {
    if (&hca->device != device) continue;
    if (refused(hca->cm_context.get(), Fault::create)) return nullptr;
    auto& contexts = the_world().fabric->contexts;
    contexts.push_back(std::make_unique<Context>(*hca, /*of_cm=*/false));
    return contexts.back().get();
  }
  fail("ibv_open_device: no such device");
}

int ibv_close_device(ibv_context* context) {
  if (of<Context>(context).children != 0) fail("ibv_close_device: objects are left on it");
  the_world().tgtd->expect_unwatched(context->async_fd, "ibv_close_device");
  erase(the_world().fabric->contexts, &of<Context>(context), "ibv_close_device");
  return 0;
}

const char* ibv_get_device_name(ibv_device* device) { return device->name; }

int ibv_query_gid(ibv_context*, std::uint8_t port, int index, ibv_gid* gid) {
  *gid = {};
  if (port == 0 || index != 0) return -1;
  gid->raw[0] = 0xfe;
  gid->raw[1] = 0x80;
  gid->raw[15] = port;
  return 0;
}

__be64 ibv_get_device_guid(ibv_device* device) {
  return __builtin_bswap64(0x0002c90300000000ULL + static_cast<unsigned char>(device->name[4]));
}

int ibv_query_device(ibv_context* context, ibv_device_attr* attr) {
  if (refused(context, Fault::create)) return errno;
  *attr = of<Context>(context).hca.limits;
  return 0;
}

int ibv_query_port(ibv_context* context, std::uint8_t, _compat_ibv_port_attr* compat) {
  if (refused(context, Fault::create)) return errno;
  auto& attr = *reinterpret_cast<ibv_port_attr*>(compat);
  attr.state = IBV_PORT_ACTIVE;
  attr.max_mtu = attr.active_mtu = IBV_MTU_1024;
  attr.max_msg_sz = of<Context>(context).hca.message_bytes_max;
  const Hca& hca = of<Context>(context).hca;
  attr.link_layer = hca.infiniband ? IBV_LINK_LAYER_INFINIBAND : IBV_LINK_LAYER_ETHERNET;
  attr.pkey_tbl_len = static_cast<std::uint16_t>(hca.pkeys.size());
  return 0;
}

int ibv_query_pkey(ibv_context* context, std::uint8_t, int index, __be16* pkey) {
  const Hca& hca = of<Context>(context).hca;
  if (index < 0 || static_cast<std::size_t>(index) >= hca.pkeys.size()) return -1;
  *pkey = htobe16(hca.pkeys[static_cast<std::size_t>(index)]);
  return 0;
}

ibv_device** ibv_get_device_list(int* count) {
  if (the_world().happens(Fault::create)) return nullptr;
  auto& hcas = the_world().fabric->hcas;
  auto** list = static_cast<ibv_device**>(std::calloc(hcas.size() + 1, sizeof(void*)));
  *count = 0;
  for (auto& hca : hcas) {
    if (hca->present) list[(*count)++] = &hca->device;
  }
  return list;
}

void ibv_free_device_list(ibv_device** list) { std::free(list); }

ibv_pd* ibv_alloc_pd(ibv_context* context) {
  if (refused(context, Fault::create)) return nullptr;
  if (of<Context>(context).of_cm) fail("a PD on librdmacm's context, where iser takes our events");
  auto& pds = the_world().fabric->pds;
  pds.push_back(std::make_unique<Pd>());
  pds.back()->context = context;
  ++of<Context>(context).children;
  return pds.back().get();
}

int ibv_dealloc_pd(ibv_pd* pd) {
  if (of<Pd>(pd).children != 0) fail("ibv_dealloc_pd: objects are left on it");
  --of<Context>(pd->context).children;
  erase(the_world().fabric->pds, &of<Pd>(pd), "ibv_dealloc_pd");
  return 0;
}

ibv_mr* ibv_reg_mr(ibv_pd* pd, void* address, std::size_t length, int access) {
  if (refused(pd->context, Fault::reg_mr)) return nullptr;
  auto& fabric = *the_world().fabric;
  fabric.mrs.push_back(std::make_unique<Mr>());
  Mr& mr = *fabric.mrs.back();
  mr.context = pd->context;
  mr.pd = pd;
  mr.addr = address;
  mr.length = length;
  mr.access = access;
  mr.lkey = mr.rkey = fabric.next_key += 0x100;
  ++of<Pd>(pd).children;
  return &mr;
}

ibv_mr* ibv_reg_mr_iova2(ibv_pd* pd, void* address, std::size_t length, std::uint64_t,
                         unsigned int access) {
  return ibv_reg_mr(pd, address, length, static_cast<int>(access));
}

int ibv_dereg_mr(ibv_mr* mr) {
  --of<Pd>(mr->pd).children;
  erase(the_world().fabric->mrs, &of<Mr>(mr), "ibv_dereg_mr");
  return 0;
}

ibv_comp_channel* ibv_create_comp_channel(ibv_context* context) {
  if (refused(context, Fault::create)) return nullptr;
  auto& channels = the_world().fabric->channels;
  channels.push_back(std::make_unique<CompChannel>());
  channels.back()->context = context;
  channels.back()->fd = eventfd(0, EFD_CLOEXEC);
  ++of<Context>(context).children;
  return channels.back().get();
}

int ibv_destroy_comp_channel(ibv_comp_channel* channel) {
  if (of<CompChannel>(channel).cqs != 0) fail("ibv_destroy_comp_channel: CQs are left on it");
  the_world().tgtd->expect_unwatched(channel->fd, "ibv_destroy_comp_channel");
  close(channel->fd);
  --of<Context>(channel->context).children;
  erase(the_world().fabric->channels, &of<CompChannel>(channel), "ibv_destroy_comp_channel");
  return 0;
}

ibv_cq* ibv_create_cq(ibv_context* context, int cqe, void* cq_context, ibv_comp_channel* channel,
                      int comp_vector) {
  if (refused(context, Fault::create)) return nullptr;
  if (cqe < 1 || cqe > of<Context>(context).hca.limits.max_cqe)
    fail("ibv_create_cq: %d entries", cqe);
  if (comp_vector < 0 || comp_vector >= context->num_comp_vectors) {
    fail("ibv_create_cq: completion vector %d", comp_vector);
  }
  auto& cqs = the_world().fabric->cqs;
  cqs.push_back(std::make_unique<Cq>());
  Cq& cq = *cqs.back();
  cq.context = context;
  cq.channel = channel;
  cq.cq_context = cq_context;
  cq.cqe = cqe;
  if (channel != nullptr) ++of<CompChannel>(channel).cqs;
  ++of<Context>(context).children;
  return &cq;
}

int ibv_destroy_cq(ibv_cq* object) {
  auto& cq = of<Cq>(object);
  if (cq.qps != 0) fail("ibv_destroy_cq: %u queue pairs use it", cq.qps);
  if (cq.unacked != 0)
    fail("ibv_destroy_cq: %u events are not acknowledged, it blocks", cq.unacked);
  if (cq.channel != nullptr) {
    std::erase(of<CompChannel>(cq.channel).events, &cq);
    --of<CompChannel>(cq.channel).cqs;
  }
  --of<Context>(cq.context).children;
  erase(the_world().fabric->cqs, &cq, "ibv_destroy_cq");
  return 0;
}

int ibv_get_cq_event(ibv_comp_channel* channel, ibv_cq** cq, void** cq_context) {
  auto& events = of<CompChannel>(channel).events;
  if (events.empty()) return nothing_to_read(channel->fd, "ibv_get_cq_event");
  *cq = events.front();
  *cq_context = events.front()->cq_context;
  ++events.front()->unacked;
  events.pop_front();
  return 0;
}

void ibv_ack_cq_events(ibv_cq* cq, unsigned int count) {
  if (of<Cq>(cq).unacked < count) fail("ibv_ack_cq_events: more than there were");
  of<Cq>(cq).unacked -= count;
}

ibv_srq* ibv_create_srq(ibv_pd* pd, ibv_srq_init_attr* init) {
  if (refused(pd->context, Fault::create)) return nullptr;
  const ibv_device_attr& limits = of<Context>(pd->context).hca.limits;
  if (init->attr.max_wr > static_cast<std::uint32_t>(limits.max_srq_wr) ||
      init->attr.max_sge > static_cast<std::uint32_t>(limits.max_srq_sge)) {
    errno = EINVAL;
    return nullptr;
  }
  auto& srqs = the_world().fabric->srqs;
  srqs.push_back(std::make_unique<Srq>());
  Srq& srq = *srqs.back();
  srq.context = pd->context;
  srq.pd = pd;
  srq.size = init->attr.max_wr;
  ++of<Pd>(pd).children;
  return &srq;
}

int ibv_destroy_srq(ibv_srq* object) {
  auto& srq = of<Srq>(object);
  if (srq.qps != 0) fail("ibv_destroy_srq: %u queue pairs use it", srq.qps);
  --of<Pd>(srq.pd).children;
  erase(the_world().fabric->srqs, &srq, "ibv_destroy_srq");
  return 0;
}

ibv_qp* ibv_create_qp(ibv_pd* pd, ibv_qp_init_attr* attr) {
  if (refused(pd->context, Fault::create)) return nullptr;
  const Hca& hca = of<Context>(pd->context).hca;
  const auto wrs_max = static_cast<std::uint32_t>(hca.limits.max_qp_wr);
  if (attr->qp_type != IBV_QPT_RC || attr->send_cq == nullptr || attr->recv_cq == nullptr ||
      attr->cap.max_send_wr > wrs_max || attr->cap.max_recv_wr > wrs_max ||
      attr->cap.max_send_sge > static_cast<std::uint32_t>(hca.limits.max_sge) ||
      attr->cap.max_inline_data > hca.inline_bytes_max) {
    errno = EINVAL;
    return nullptr;
  }
  auto& fabric = *the_world().fabric;
  fabric.qps.push_back(std::make_unique<Qp>());
  Qp& qp = *fabric.qps.back();
  qp.context = pd->context;
  qp.pd = pd;
  qp.qp_context = attr->qp_context;
  qp.send_cq = attr->send_cq;
  qp.recv_cq = attr->recv_cq;
  qp.state = IBV_QPS_RESET;
  qp.qp_type = attr->qp_type;
  qp.qp_num = fabric.next_qp_num++;
  qp.cap = attr->cap;
  qp.signal_all = attr->sq_sig_all != 0;
  qp.srq = attr->srq;
  qp.shared = static_cast<Srq*>(attr->srq);
  if (qp.shared != nullptr) ++qp.shared->qps;
  ++of<Pd>(pd).children;
  ++of<Cq>(qp.send_cq).qps;
  ++of<Cq>(qp.recv_cq).qps;
  return &qp;
}

int ibv_modify_qp(ibv_qp* object, ibv_qp_attr* attr, int mask) {
  auto& qp = of<Qp>(object);
  const bool to_error = (mask & IBV_QP_STATE) != 0 && attr->qp_state == IBV_QPS_ERR;
  if (!to_error && refused(qp.context, Fault::modify_qp)) return errno;
  if ((mask & IBV_QP_STATE) != 0) {
    if (!legal(qp.state, attr->qp_state)) {
      fail("ibv_modify_qp: QP %u from state %d to %d", qp.qp_num, qp.state, attr->qp_state);
    }
    if (qp.state != attr->qp_state) require_attributes(attr->qp_state, mask);
    if (attr->qp_state == IBV_QPS_ERR) qp.enter_error();
    qp.state = attr->qp_state;
  }
  if ((mask & IBV_QP_MAX_QP_RD_ATOMIC) != 0) qp.read_depth = attr->max_rd_atomic;
  if (qp.read_depth > static_cast<unsigned>(qp.hca().limits.max_qp_init_rd_atom)) {
    fail("QP %u: READ depth %u", qp.qp_num, qp.read_depth);
  }
  return 0;
}

int ibv_destroy_qp(ibv_qp* object) {
  auto& qp = of<Qp>(object);
  if (qp.async_unacked != 0) fail("ibv_destroy_qp: events are not acknowledged, it blocks");
  trace("QP %u is destroyed, %zu sends and %zu receives posted", qp.qp_num, qp.sends.size(),
        qp.receives.size());
  if (qp.connection != nullptr) qp.connection->qp = nullptr;
  if (qp.shared != nullptr) {
    --qp.shared->qps;
    const auto is_receive = [&](const Completion& entry) {
      return entry.qp == &qp && entry.send_places == 0;
    };
    if (std::ranges::any_of(of<Cq>(qp.recv_cq).entries, is_receive)) {
      fail("ibv_destroy_qp: receives of a shared queue are lost with QP %u", qp.qp_num);
    }
  }
  for (ibv_cq* cq : {qp.send_cq, qp.recv_cq}) {
    --of<Cq>(cq).qps;
    std::erase_if(of<Cq>(cq).entries, [&](const Completion& entry) { return entry.qp == &qp; });
  }
  std::erase_if(of<Context>(qp.context).events, [&](const ibv_async_event& event) {
    return event.event_type <= IBV_EVENT_PATH_MIG_ERR && event.element.qp == &qp;
  });
  --of<Pd>(qp.pd).children;
  erase(the_world().fabric->qps, &qp, "ibv_destroy_qp");
  return 0;
}

int ibv_get_async_event(ibv_context* object, ibv_async_event* event) {
  auto& context = of<Context>(object);
  if (context.events.empty()) return nothing_to_read(context.async_fd, "ibv_get_async_event");
  *event = context.events.front();
  context.events.pop_front();
  if (event->event_type == IBV_EVENT_QP_FATAL || event->event_type == IBV_EVENT_COMM_EST) {
    ++of<Qp>(event->element.qp).async_unacked;
  }
  return 0;
}

void ibv_ack_async_event(ibv_async_event* event) {
  if (event->event_type == IBV_EVENT_QP_FATAL || event->event_type == IBV_EVENT_COMM_EST) {
    --of<Qp>(event->element.qp).async_unacked;
  }
}

const char* ibv_event_type_str(ibv_event_type) { return "asynchronous event"; }
const char* ibv_wc_status_str(ibv_wc_status) { return "completion status"; }

}  // extern "C"
