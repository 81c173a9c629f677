#include "lld_srp/channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lld_srp/iu.h"
#include "lld_srp/limits.h"
#include "plugin_api/log.h"

namespace srp {

namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
  return (bytes + unit - 1) / unit * unit;
}

constexpr std::uint32_t receives_wanted(const ChannelSizes& sizes) noexcept {
  return sizes.credits + uncredited_receives;
}

ReceiveSizes receive_sizes(const ChannelSizes& sizes) noexcept {
  const std::uint32_t wanted = receives_wanted(sizes);
  return {wanted, wanted + sizes.credits, sizes.request_bytes, sizes.immediate_offset};
}

// The kernel reports attributes that verbs has no bits for (librdmacm masks them as well).
constexpr int foreign_attribute_bits = 0x01e00000;

}  // namespace

DescriptorCursor::Range DescriptorCursor::peek(std::uint32_t bytes_max) noexcept {
  while (in_first_ == descriptors_.front().bytes) {  // also skips empty ones
    descriptors_ = descriptors_.subspan(1);
    in_first_ = 0;
  }
  const wire::MemoryDesc& first = descriptors_.front();
  const std::uint32_t rest = first.bytes - in_first_;
  const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>({rest, bytes_max, left_}));
  return {first.address + in_first_, first.key, bytes, offset_};
}

void DescriptorCursor::pass(std::uint32_t bytes) noexcept {
  in_first_ += bytes;
  offset_ += bytes;
  left_ -= bytes;
}

Channel::Channel(Device& device, Connection& connection, rdma_cm_id& id, const ChannelSizes& sizes,
                 EventLoop& loop, Job& attention)
    : device_(device),
      connection_(connection),
      loop_(loop),
      attention_(attention),
      sizes_(sizes),
      credits_(sizes.credits),
      own_receives_(device.shared_receives()
                        ? std::nullopt
                        : std::make_optional<ReceiveQueue>(device.pd(), receive_sizes(sizes))),
      receives_(own_receives_ ? *own_receives_ : *device.shared_receives()),
      response_stride_(round_up(sizes.response_bytes, 64)),
      memory_(device.pd(), round_up((2 * sizes.credits + 1) * response_stride_, page_bytes),
              IBV_ACCESS_LOCAL_WRITE) {
  // Elsewhere a sender waits for a receive; on iWARP its connection ends.
  if (!own_receives_ && device.limits().iwarp &&
      (device.channels() + 1) * receive_sizes(sizes).total > receives_.sizes().total) {
    throw std::system_error(ENOBUFS, std::generic_category(), "srpt_srq_size");
  }
  const std::uint32_t cqes_max = device.limits().cqes_max;
  const std::uint32_t cqes_for_receives = receives_.sizes().posted;
  if (!own_receives_ && cqes_for_receives >= cqes_max) {
    throw std::system_error(ENOSPC, std::generic_category(), "a CQ of srpt_srq_size");
  }
  const std::uint32_t cqes_for_sends =
      cqes_max > cqes_for_receives ? cqes_max - cqes_for_receives : 1;
  sizes_.rdma_bytes_max = std::min(sizes.rdma_bytes_max, device.limits().message_bytes_max);
  send_wrs_ = std::min({sizes.send_wrs, device.limits().send_wrs_max, cqes_for_sends});
  covers_.resize(send_wrs_);
  create_queue_pair();
  modify(id, IBV_QPS_INIT);
  post_receives();
  if (failed()) throw std::system_error(EIO, std::generic_category(), failure());
  device_.attach();
}

Channel::~Channel() {
  destroy_queue_pair();
  device_.detach();
}

void Channel::create_queue_pair() {
  // A peer may use up all receives that are posted, whatever its request limit.
  const auto cqes = static_cast<int>(receives_.sizes().posted + send_wrs_);
  cq_.reset(verbs::required(
      ibv_create_cq(&device_.context(), cqes, this, &device_.completions(), 0), "ibv_create_cq"));
  verbs::require(ibv_req_notify_cq(cq_.get(), 0), "ibv_req_notify_cq");

  ibv_qp_init_attr init{};
  init.qp_context = this;
  init.send_cq = init.recv_cq = cq_.get();
  init.srq = receives_.shared();
  init.qp_type = IBV_QPT_RC;
  init.cap.max_send_wr = send_wrs_;
  init.cap.max_recv_wr = init.srq != nullptr ? 0 : receives_wanted(sizes_);
  init.cap.max_send_sge = init.cap.max_recv_sge = 1;
  init.cap.max_inline_data = inline_bytes_wanted;
  ibv_qp* qp = ibv_create_qp(&device_.pd(), &init);
  if (qp == nullptr) {  // some devices refuse inline data instead of offering less
    init.cap.max_inline_data = 0;
    qp = ibv_create_qp(&device_.pd(), &init);
  }
  qp_.reset(verbs::required(qp, "ibv_create_qp"));
  qp_num_ = qp->qp_num;
  inline_bytes_ = init.cap.max_inline_data;
}

void Channel::modify(rdma_cm_id& id, ibv_qp_state state) {
  ibv_qp_attr attr{};
  int mask = 0;
  attr.qp_state = state;
  verbs::require(rdma_init_qp_attr(&id, &attr, &mask), "rdma_init_qp_attr");
  mask &= ~foreign_attribute_bits;
  if ((mask & IBV_QP_MIN_RNR_TIMER) != 0) attr.min_rnr_timer = sizes_.rnr_timer;
  if ((mask & IBV_QP_MAX_QP_RD_ATOMIC) != 0) attr.max_rd_atomic = sizes_.read_depth;
  if ((mask & IBV_QP_MAX_DEST_RD_ATOMIC) != 0) attr.max_dest_rd_atomic = 0;  // it never READs us
  verbs::require(ibv_modify_qp(qp_.get(), &attr, mask), "ibv_modify_qp");
}

void Channel::connect(rdma_cm_id& id) {
  modify(id, IBV_QPS_RTR);
  modify(id, IBV_QPS_RTS);
}

void Channel::fail(const char* why) noexcept {
  if (failed()) return;
  failure_ = why;
  if (qp_) {
    ibv_qp_attr attr{};
    attr.qp_state = IBV_QPS_ERR;
    // Fails where the device is gone; destroy_queue_pair() ends all work in either case.
    (void)ibv_modify_qp(qp_.get(), &attr, IBV_QP_STATE);
  }
  loop_.defer(attention_);
}

// Nothing else is sent from now on: what stands behind the goodbye stays where it is.
void Channel::leave(const char* why, wire::LogoutReason reason) noexcept {
  if (closing()) return;
  // Before the initiator has sent something it may not be ready to receive.
  if (!sizes_.t_logout || !heard_ || noticing_) return fail(why);
  goodbye_ = why;
  loop_.defer(attention_);  // what it serves is abandoned now
  notify(build_t_logout(reason), sizes_.solicited_logout);
}

// Each is at most as long as a response to a task.
template <class IuOfOurs>
void Channel::notify(IuOfOurs iu, bool solicited) noexcept {
  static_assert(sizeof iu <= wire::task_rsp_bytes);
  noticing_ = true;
  if (solicited) iu.solnt = wire::solicited;
  notice_.solicited = solicited;
  notice_.iu = response_iu(2 * sizes_.credits);
  notice_.iu_bytes = sizeof iu;
  std::memcpy(notice_.iu, &iu, sizeof iu);
  reply(notice_);
}

void Channel::on_notice() noexcept {
  on_sent();
  noticing_ = false;
  if (goodbye_ != nullptr) fail(goodbye_);
}

void Channel::offer_credits(std::uint32_t unanswered) noexcept {
  if (closing() || noticing_ || !heard_ || !credits_.stuck(unanswered)) return;
  const std::uint32_t delta = credits_.announce();
  trace(Trace::credit, "QP 0x%x: SRP_CRED_REQ, %u credits", qp_num_, delta);
  notify(build_cred_req(delta), sizes_.solicited_credits);
}

void Channel::destroy_queue_pair() noexcept {
  fetches_.clear();
  replies_.clear();
  while (!parked_.empty()) {
    Receive& receive = parked_.front();
    receive.unlink();
    receives_.release(receive);
  }
  drain_receives();
  qp_.reset();
  drain_receives();  // what was still under way
  if (!cq_) return;
  if (events_unacked_ != 0) ibv_ack_cq_events(cq_.get(), events_unacked_);
  events_unacked_ = 0;
  cq_.reset();
}

// Receives that all channels share must not be lost with one of them.
void Channel::drain_receives() noexcept {
  if (own_receives_ || !cq_) return;
  ibv_wc wcs[poll_batch];
  int count = 0;
  while ((count = ibv_poll_cq(cq_.get(), poll_batch, wcs)) > 0) {
    for (int i = 0; i < count; ++i) give_up(wcs[i]);
  }
}

void Channel::give_up(const ibv_wc& wc) noexcept {
  verbs::Work& work = verbs::Work::of(wc);
  if (own_receives_ || work.kind != verbs::WorkKind::receive) return;
  auto& receive = static_cast<Receive&>(work);
  receives_.take(receive, 0);
  receives_.release(receive);
  post_receives();
}

void Channel::take(Receive& receive, std::uint32_t bytes) noexcept {
  quiet_ticks_ = 0;
  heard_ = true;
  receives_.take(receive, bytes);
  post_receives();
}

void Channel::release(Receive& receive) noexcept {
  receives_.release(receive);
  post_receives();
  if (failed()) loop_.defer(attention_);  // someone waits for the last command
}

void Channel::post_receives() noexcept {
  if (own_receives_ && failed()) return;
  if (!receives_.post(qp_.get())) fail("a receive could not be posted");
}

std::uint8_t* Channel::response_iu(std::uint32_t index) const noexcept {
  SRP_ASSERT(index <= 2 * sizes_.credits);
  return memory_.data() + index * response_stride_;
}

void Channel::fetch(Fetch& fetch) noexcept {
  fetches_.push_back(fetch);
  pump();
}

void Channel::reply(Reply& reply) noexcept {
  replies_.push_back(reply);
  pump();
}

bool Channel::cancel(Fetch& fetch) noexcept {
  fetch.unlink();
  return fetch.outstanding == 0;
}

void Channel::pump() noexcept {
  while (!failed() && !said_goodbye() && !replies_.empty()) {
    const std::uint32_t places = places_for_replies();
    if (places == 0 || !post_reply(replies_.front(), places)) break;
  }
  while (!closing() && !fetches_.empty() && send_wrs_used_ < send_wrs_ &&
         reads_posted_ < sizes_.read_depth) {
    if (!post_read(fetches_.front())) break;
  }
}

// Soft iWARP (siw, siw_try_1seg) sends other bytes than it should of a message of up to 32 bytes
// whose source lies across the end of a page.
DescriptorCursor::Range Channel::next_message(DescriptorCursor& cursor,
                                              const std::uint8_t* from) noexcept {
  constexpr std::uint32_t short_bytes = 32;
  auto range = cursor.peek(sizes_.rdma_bytes_max);
  if (device_.limits().iwarp && range.bytes <= short_bytes) {
    const std::uint64_t source =
        from != nullptr ? reinterpret_cast<std::uint64_t>(from) + range.offset : range.address;
    const auto left_of_page = static_cast<std::uint32_t>(page_bytes - source % page_bytes);
    range.bytes = std::min(range.bytes, left_of_page);
  }
  cursor.pass(range.bytes);
  return range;
}

// Replies leave room for the READs that wait and may be posted: data-in must not keep data-out
// back.
std::uint32_t Channel::places_for_replies() const noexcept {
  const std::uint32_t free = send_wrs_ - send_wrs_used_;
  if (fetches_.empty()) return free;
  const std::uint32_t reads =
      sizes_.read_depth > reads_posted_ ? sizes_.read_depth - reads_posted_ : 0;
  const std::uint32_t kept = std::min(reads, send_wrs_ / 2);
  return free > kept ? free - kept : 0;
}

bool Channel::post_read(Fetch& fetch) noexcept {
  const auto range = next_message(fetch.from, nullptr);
  ibv_sge sge{reinterpret_cast<std::uint64_t>(fetch.to + range.offset), range.bytes, fetch.lkey};
  ibv_send_wr wr{};
  wr.wr_id = fetch.id();
  wr.sg_list = &sge;
  wr.num_sge = 1;
  wr.opcode = IBV_WR_RDMA_READ;
  wr.send_flags = IBV_SEND_SIGNALED;
  wr.wr.rdma.remote_addr = range.address;
  wr.wr.rdma.rkey = range.key;
  ++fetch.outstanding;
  ++reads_posted_;
  if (!post(wr, 1)) return false;
  fetch.unlink();
  if (!fetch.from.done()) fetches_.push_back(fetch);
  return true;
}

// Posts as much of reply as fits: all of it, or WRITEs of which the last one reports progress. Over
// iWARP each WRITE does: soft iWARP (siw) hands TCP the very pages of one that is not signaled, and
// TCP may send them after the response that follows has completed, and the pages serve another
// command.
bool Channel::post_reply(Reply& reply, std::uint32_t places) noexcept {
  ibv_send_wr wrs[chain_max];
  ibv_sge sges[chain_max];
  const unsigned room = std::min<unsigned>(chain_max, places);
  unsigned count = 0;
  const bool each_reports = device_.limits().iwarp;
  const auto add = [&](const std::uint8_t* data, std::uint32_t bytes, std::uint32_t lkey) {
    sges[count] = {reinterpret_cast<std::uint64_t>(data), bytes, lkey};
    ibv_send_wr& wr = wrs[count];
    wr = {};
    wr.wr_id = each_reports ? progress_.id() : unsignaled_.id();
    wr.send_flags = each_reports ? IBV_SEND_SIGNALED : 0;
    wr.sg_list = &sges[count];
    wr.num_sge = 1;
    if (count != 0) wrs[count - 1].next = &wr;
    ++count;
    return &wr;
  };

  while (count < room && !reply.to.done()) {
    const auto range = next_message(reply.to, reply.from);
    ibv_send_wr* write = add(reply.from + range.offset, range.bytes, reply.lkey);
    write->opcode = IBV_WR_RDMA_WRITE;
    write->wr.rdma.remote_addr = range.address;
    write->wr.rdma.rkey = range.key;
  }
  const bool whole = count < room;
  if (whole) {
    ibv_send_wr* send = add(reply.iu, reply.iu_bytes, memory_.lkey());
    send->opcode = IBV_WR_SEND;
    if (reply.iu_bytes <= inline_bytes_) send->send_flags |= IBV_SEND_INLINE;
    if (reply.solicited) send->send_flags |= IBV_SEND_SOLICITED;
    reply.unlink();
  }
  wrs[count - 1].send_flags |= IBV_SEND_SIGNALED;
  wrs[count - 1].wr_id = whole ? reply.id() : progress_.id();
  return post(wrs[0], count);
}

// Posts a chain whose last request is signaled.
bool Channel::post(ibv_send_wr& first, unsigned count) noexcept {
  send_wrs_used_ += count;
  std::uint16_t covered = 0;
  for (const ibv_send_wr* wr = &first; wr != nullptr; wr = wr->next) {
    ++covered;
    if ((wr->send_flags & IBV_SEND_SIGNALED) == 0) continue;
    covers_[(covers_first_ + covers_count_++) % send_wrs_] = std::exchange(covered, 0);
  }
  ibv_send_wr* bad = nullptr;
  if (ibv_post_send(qp_.get(), &first, &bad) == 0) return true;
  fail("ibv_post_send failed");
  return false;
}

int Channel::poll(std::span<ibv_wc> wcs) noexcept {
  if (!cq_) return 0;
  const int count = ibv_poll_cq(cq_.get(), static_cast<int>(wcs.size()), wcs.data());
  if (count >= 0) return count;
  fail("ibv_poll_cq failed");
  return 0;
}

void Channel::watch_peer() noexcept {
  if (failed()) return;
  if (goodbye_ != nullptr && ++goodbye_ticks_ >= goodbye_s_max * ticks_per_second) {
    return fail(goodbye_);
  }
  if (send_wrs_used_ != 0) {
    if (++silent_ticks_ >= 2 * sizes_.keepalive_s * ticks_per_second) {
      return fail("the initiator is silent");
    }
    // Soft iWARP (siw) may leave what was posted where it is until something else is.
    const bool nudge = device_.limits().iwarp && silent_ticks_ % ticks_per_second == 1;
    if (nudge && send_wrs_used_ < send_wrs_) post_keepalive();
    return;
  }
  silent_ticks_ = 0;
  if (++quiet_ticks_ >= sizes_.keepalive_s * ticks_per_second) post_keepalive();
}

// No bytes: neither address nor key counts, and the initiator notices nothing.
void Channel::post_keepalive() noexcept {
  ibv_send_wr wr{};
  wr.wr_id = progress_.id();
  wr.opcode = IBV_WR_RDMA_WRITE;
  wr.send_flags = IBV_SEND_SIGNALED;
  (void)post(wr, 1);
}

bool Channel::look_again(int taken) noexcept {
  if (taken != 0) {
    empty_looks_ = 0;
    return true;
  }
  if (empty_looks_ == empty_looks_max) return false;
  ++empty_looks_;
  return true;
}

void Channel::rearm() noexcept {
  if (cq_ && ibv_req_notify_cq(cq_.get(), 0) != 0) fail("ibv_req_notify_cq failed");
}

void Channel::on_sent() noexcept {
  SRP_ASSERT(covers_count_ > 0);
  quiet_ticks_ = silent_ticks_ = 0;
  send_wrs_used_ -= covers_[covers_first_];
  covers_first_ = (covers_first_ + 1) % send_wrs_;
  --covers_count_;
}

void Channel::on_read(Fetch& fetch) noexcept {
  on_sent();
  --reads_posted_;
  --fetch.outstanding;
}

}  // namespace srp
