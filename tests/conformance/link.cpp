#include "link.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "check.h"

namespace conformance {

void Completions::open(ibv_context& device, int entries) {
  channel.reset(required(ibv_create_comp_channel(&device), "ibv_create_comp_channel"));
  require(::fcntl(channel->fd, F_SETFL, O_NONBLOCK), "fcntl");
  cq.reset(required(ibv_create_cq(&device, entries, nullptr, channel.get(), 0), "ibv_create_cq"));
}

void Completions::arm(bool only_solicited) {
  require(ibv_req_notify_cq(cq.get(), only_solicited ? 1 : 0), "ibv_req_notify_cq");
}

bool Completions::take_events() {
  bool any = false;
  ibv_cq* of = nullptr;
  void* context = nullptr;
  while (ibv_get_cq_event(channel.get(), &of, &context) == 0) {
    ibv_ack_cq_events(of, 1);  // an unacknowledged event would hold up the end of the queue
    any = true;
  }
  return any;
}

Link::Link(const Fabric& fabric, const Terms& terms)
    : terms_(terms),
      events_(make_event_channel()),
      id_(make_cm_id(*events_)),
      send_memory_(fabric.pd(), send_slots * iu_bytes_max, IBV_ACCESS_LOCAL_WRITE),
      receive_memory_(fabric.pd(), static_cast<std::size_t>(terms.receives) * receive_bytes,
                      IBV_ACCESS_LOCAL_WRITE) {
  resolve(*id_, *events_, fabric.destination());
  sends_.open(*id_->verbs, send_slots);
  receives_.open(*id_->verbs, terms.receives);
  ibv_qp_init_attr attributes{};
  attributes.send_cq = sends_.cq.get();
  attributes.recv_cq = receives_.cq.get();
  attributes.qp_type = IBV_QPT_RC;
  attributes.cap = {send_slots, static_cast<std::uint32_t>(terms.receives), 1, 1, 0};
  require(rdma_create_qp(id_.get(), &fabric.pd(), &attributes), "rdma_create_qp");
  for (std::size_t i = 0; i < send_slots; ++i) free_slots_.push_back(i);
  for (int i = 0; i < terms.receives; ++i) post_receive(static_cast<std::size_t>(i));
}

Link::~Link() {
  if (id_->qp != nullptr) rdma_destroy_qp(id_.get());
}

void Link::request(View private_data) {
  rdma_conn_param param{};
  param.private_data = private_data.data();
  param.private_data_len = static_cast<std::uint8_t>(private_data.size());
  param.responder_resources = terms_.responder_resources;
  param.initiator_depth = terms_.initiator_depth;
  param.retry_count = terms_.retry_count;
  param.rnr_retry_count = terms_.rnr_retry_count;
  param.flow_control = terms_.flow_control;
  require(rdma_connect(id_.get(), &param), "rdma_connect");
}

Answer Link::connect(View private_data, Deadline deadline) {
  request(private_data);
  const CmEvent event(*events_, deadline);
  if (!event) return {};
  Answer answer;
  answer.accepted = event->event == RDMA_CM_EVENT_ESTABLISHED;
  answer.rejected = event->event == RDMA_CM_EVENT_REJECTED;
  answer.status = event->status;
  const auto& conn = event->param.conn;
  if (conn.private_data != nullptr) {
    const auto* first = static_cast<const std::uint8_t*>(conn.private_data);
    answer.private_data.assign(first, first + conn.private_data_len);
  }
  connected_ = answer.accepted;
  if (!answer.accepted) finish(rdma_event_str(event->event));
  return answer;
}

void Link::post_receive(std::size_t index) {
  const Descriptor where = receive_memory_.at(index * receive_bytes, receive_bytes);
  ibv_sge sge{where.address, where.bytes, receive_memory_.lkey()};
  ibv_recv_wr request{index, nullptr, &sge, 1};
  ibv_recv_wr* bad = nullptr;
  require(ibv_post_recv(id_->qp, &request, &bad), "ibv_post_recv");
}

void Link::send(View bytes, Deadline deadline) {
  check(bytes.size() <= iu_bytes_max, "IU of ", bytes.size(), " bytes: too long for this program");
  progress();
  while (free_slots_.empty() && !ended()) {
    check(Clock::now() < deadline, "no send is acknowledged: the target takes no more IUs");
    wait(deadline);
    progress();
  }
  check(!ended(), "the channel has ended before an IU could be sent: ", end_);
  const std::size_t slot = free_slots_.back();
  free_slots_.pop_back();
  send_memory_.copy_in(bytes, slot * iu_bytes_max);
  const Descriptor where = send_memory_.at(slot * iu_bytes_max, bytes.size());
  ibv_sge sge{where.address, where.bytes, send_memory_.lkey()};
  ibv_send_wr request{};
  request.wr_id = slot;
  request.sg_list = &sge;
  request.num_sge = bytes.empty() ? 0 : 1;
  request.opcode = IBV_WR_SEND;
  request.send_flags = IBV_SEND_SIGNALED;  // siw lends the memory of any other to TCP
  ibv_send_wr* bad = nullptr;
  require(ibv_post_send(id_->qp, &request, &bad), "ibv_post_send");
}

std::optional<Bytes> Link::receive(Deadline deadline) {
  for (;;) {
    progress();
    if (!arrivals_.empty()) {
      Bytes arrival = std::move(arrivals_.front());
      arrivals_.pop_front();
      return arrival;
    }
    if (ended() || Clock::now() >= deadline) return std::nullopt;
    wait(deadline);
  }
}

bool Link::wait_until_ended(Deadline deadline) {
  for (;;) {
    progress();
    if (ended() || Clock::now() >= deadline) return ended();
    wait(deadline);
  }
}

void Link::disconnect() {
  if (!connected_) return;
  connected_ = false;
  (void)rdma_disconnect(id_.get());
  finish("disconnected by this program");
}

bool Link::disconnect_and_wait(Deadline deadline) {
  disconnect();
  while (!disconnected_ && Clock::now() < deadline) {
    poll_events();
    if (!disconnected_) wait_readable({events_->fd}, deadline);
  }
  return disconnected_;
}

void Link::watch_solicited() {
  (void)receives_.take_events();
  receives_.arm(true);
  watching_solicited_ = true;
}

bool Link::saw_solicited() {
  watching_solicited_ = false;
  return receives_.take_events();
}

void Link::starve(bool on) {
  starving_ = on;
  if (on) return;
  for (const std::size_t index : starved_) post_receive(index);
  starved_.clear();
}

void Link::poll_sends() {
  ibv_wc wc;
  while (ibv_poll_cq(sends_.cq.get(), 1, &wc) > 0) {
    free_slots_.push_back(wc.wr_id);
    if (wc.status != IBV_WC_SUCCESS)
      finish(text("a SEND ends with ", ibv_wc_status_str(wc.status)));
  }
}

void Link::poll_receives() {
  ibv_wc wc;
  while (ibv_poll_cq(receives_.cq.get(), 1, &wc) > 0) {
    if (wc.status != IBV_WC_SUCCESS) {
      finish(text("a receive ends with ", ibv_wc_status_str(wc.status)));
      continue;
    }
    const View iu = receive_memory_.view(wc.wr_id * receive_bytes, wc.byte_len);
    arrivals_.emplace_back(iu.begin(), iu.end());
    if (starving_) {
      starved_.push_back(wc.wr_id);
    } else if (!ended()) {
      post_receive(wc.wr_id);
    }
  }
}

void Link::poll_events() {
  while (const CmEvent event{*events_, Clock::now()}) {
    if (event->event == RDMA_CM_EVENT_DISCONNECTED) disconnected_ = true;
    if (event->event != RDMA_CM_EVENT_TIMEWAIT_EXIT) finish(rdma_event_str(event->event));
  }
}

void Link::progress() {
  poll_sends();
  poll_receives();
  poll_events();
}

void Link::wait(Deadline deadline) {
  (void)sends_.take_events();
  sends_.arm(false);
  // Not longer than this without a look: a provider that loses an event is not what is tested here.
  deadline = std::min(deadline, in_milliseconds(watching_solicited_ ? 5 : 250));
  if (!watching_solicited_) {  // else the event is the case's
    (void)receives_.take_events();
    receives_.arm(false);
  }
  // What came before the notification was asked for raises none.
  const std::size_t had = arrivals_.size() + free_slots_.size();
  progress();
  if (ended() || arrivals_.size() + free_slots_.size() != had) return;
  if (watching_solicited_) {
    wait_readable({sends_.channel->fd, events_->fd}, deadline);
  } else {
    wait_readable({sends_.channel->fd, receives_.channel->fd, events_->fd}, deadline);
  }
}

void Link::finish(std::string why) {
  if (end_.empty()) end_ = std::move(why);
}

}  // namespace conformance
