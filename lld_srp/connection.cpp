#include "lld_srp/connection.h"

#include <algorithm>
#include <cstring>

#include "lld_srp/address.h"
#include "lld_srp/limits.h"

namespace srp {

Connection::Connection(rdma_cm_id& id, Device& device, const ChannelSizes& sizes,
                       unsigned login_timeout_s, EventLoop& loop, Job& reap)
    : loop_(loop),
      reap_(reap),
      attention_([](void* self) noexcept { static_cast<Connection*>(self)->on_attention(); }, this),
      poll_([](void* self) noexcept { static_cast<Connection*>(self)->poll(); }, this),
      path_(path_of(id)),
      peer_(with_port(to_string(path_.peer), path_.peer_port)),
      channel_(device, *this, id, sizes, loop, attention_),
      ticks_left_(login_timeout_s * ticks_per_second) {
  id.context = this;
}

Connection::~Connection() {
  idle_commands_.clear();
  idle_tasks_.clear();
}

void Connection::accept(Session& session, const wire::LoginRsp& response) {
  session.attach(channel_);  // first: a session whose only login fails must be left again
  session_ = &session;
  const std::uint32_t credits = channel_.sizes().credits;
  for (std::uint32_t i = 0; i < credits; ++i) {
    commands_.emplace_back(channel_, session, idle_commands_, i);
    tasks_.emplace_back(channel_, session, idle_tasks_, credits + i);
  }
  channel_.connect(*id_);

  rdma_conn_param param{};
  param.private_data = &response;
  param.private_data_len = sizeof response;
  param.responder_resources = 0;  // the initiator never READs our memory
  param.initiator_depth = channel_.sizes().read_depth;
  param.flow_control = 1;
  param.rnr_retry_count = 7;  // for the initiator's sends: forever
  param.qp_num = channel_.qp_num();
  verbs::require(rdma_accept(id_.get(), &param), "rdma_accept");
}

std::size_t Connection::waiting() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(commands_, [](const Command& command) {
    return command.state() == CommandState::waiting ||
           command.state() == CommandState::table_waiting;
  }));
}

void Connection::refuse(const wire::LoginRej& rej) noexcept {
  (void)rdma_reject(id_.get(), &rej, sizeof rej);
  channel_.fail("the login failed");
}

void Connection::shut_down() noexcept {
  hurried_ = true;
  channel_.fail("the driver stops");
  on_attention();
}

void Connection::on_established() noexcept {
  if (state_ == State::connecting) state_ = State::live;
}

void Connection::on_disconnected(const char* why) noexcept {
  peer_gone_ = true;
  channel_.fail(why);
  loop_.defer(attention_);
}

void Connection::on_tick() noexcept {
  if (state_ == State::live) {
    offer_credits();
    channel_.watch_peer();
    return poll();  // soft iWARP (siw) loses an event now and then
  }
  if (state_ == State::closing || state_ == State::gone) return;
  if (ticks_left_ > 0 && --ticks_left_ > 0) return;
  if (state_ == State::draining) return destroy_queue_pair();
  if (state_ == State::connecting) return channel_.fail("login was not completed in time");
  peer_gone_ = true;
  loop_.defer(attention_);
}

// Only where the initiator seems to be out of credits, because it means to count.
void Connection::offer_credits() noexcept {
  if (channel_.credits().held() > 1 || session_ == nullptr) return;
  channel_.offer_credits(session_->tasks().count_if([this](const TaskSet::Entry& entry) {
    return entry.origin == &channel_ && entry.aborted();
  }));
}

void Connection::on_receive(Receive& receive, std::uint32_t bytes) noexcept {
  channel_.take(receive, bytes);
  if (traced(Trace::iu)) [[unlikely]] {
    trace(Trace::iu, "%s: %u bytes in, opcode 0x%02x", peer_.c_str(), bytes,
          bytes != 0 ? receive.iu[0] : 0);
  }
  if (channel_.closing()) return channel_.release(receive);
  if (state_ == State::connecting) {
    // The initiator is established; its message to that effect was overtaken or lost.
    (void)rdma_notify(id_.get(), IBV_EVENT_COMM_EST);
    state_ = State::live;
  }
  const auto opcode = classify({receive.iu, receive.bytes});
  if (!opcode) {
    return on_invalid(receive);
  }
  switch (*opcode) {
    case wire::Opcode::i_logout:
      channel_.release(receive);
      return channel_.fail("the initiator logged out");
    case wire::Opcode::cmd:
    case wire::Opcode::tsk_mgmt: break;
    default:  // a response to something: costs no credit, wants no answer
      return channel_.release(receive);
  }
  if (!channel_.credits().spend()) {
    channel_.release(receive);
    return channel_.leave("protocol error: more requests than the request limit",
                          wire::LogoutReason::none);
  }
  if (channel_.first_parked() != nullptr || !can_start(receive)) return channel_.park(receive);
  start(receive);
}

void Connection::on_invalid(Receive& receive) noexcept {
  const unsigned opcode = receive.bytes != 0 ? receive.iu[0] : 0;
  log_error("%s: IU of %u bytes, opcode 0x%02x: not a request", peer_.c_str(), receive.bytes,
            opcode);
  const bool too_short = receive.bytes == 0 || may_be_sent(static_cast<wire::Opcode>(opcode));
  channel_.release(receive);
  channel_.leave("protocol error: invalid IU", too_short ? wire::LogoutReason::invalid_iu_length
                                                         : wire::LogoutReason::invalid_iu_type);
}

void Connection::poll() noexcept { channel_.device().poll(channel_); }

bool Connection::can_start(const Receive& receive) const noexcept {
  const bool command = receive.iu[0] == static_cast<std::uint8_t>(wire::Opcode::cmd);
  return command ? !idle_commands_.empty() : !idle_tasks_.empty();
}

void Connection::start(Receive& receive) noexcept {
  if (receive.iu[0] == static_cast<std::uint8_t>(wire::Opcode::cmd)) {
    Command& command = idle_commands_.front();
    idle_commands_.pop_front();
    return command.start(receive);
  }
  Task& task = idle_tasks_.front();
  idle_tasks_.pop_front();
  const TaskRequest request = parse_task({receive.iu, receive.bytes});
  channel_.release(receive);
  task.start(request);
}

// Contexts are as many as credits, but one whose response is sent is busy until the completion of
// the send, which the initiator's next request may overtake.
void Connection::serve_parked() noexcept {
  while (!channel_.closing()) {
    Receive* receive = channel_.first_parked();
    if (receive == nullptr || !can_start(*receive)) return;
    receive->unlink();
    start(*receive);
  }
}

// What tgtd still works on is abandoned: the session's other channels wait behind it.
void Connection::abandon_commands() noexcept {
  if (session_ == nullptr) return;
  (void)session_->tasks().abort_if(
      [this](const TaskSet::Entry& entry) { return entry.origin == &channel_; });
}

void Connection::on_attention() noexcept {
  const bool open = state_ == State::connecting || state_ == State::live;
  if (open && channel_.closing()) abandon_commands();
  if (!channel_.failed()) return;
  if (open) close();
  if (state_ == State::draining && (hurried_ || drained_)) destroy_queue_pair();
  if (state_ == State::closing) leave_session();
  if (state_ != State::detached || !peer_gone_) return;
  id_.reset();
  state_ = State::gone;
  loop_.defer(reap_);
}

void Connection::close() noexcept {
  log_notice("%s: channel closed: %s", peer_.c_str(), channel_.failure());
  if (session_ != nullptr) session_->note_lost_channel(channel_.failure());
  // Before the connection is established the CM would send no disconnect request, and destroying
  // the id rejects; a device that is gone sends nothing. There is nothing to wait for then.
  const bool silent = state_ == State::connecting || channel_.device().removed();
  if (silent || rdma_disconnect(id_.get()) != 0) peer_gone_ = true;
  state_ = State::draining;
  ticks_left_ = drain_s_max * ticks_per_second;
  if (!channel_.shares_receives() || channel_.device().removed()) destroy_queue_pair();
}

// Later: a queue pair whose event is not acknowledged yet cannot be destroyed.
void Connection::on_last_receive() noexcept {
  drained_ = true;
  loop_.defer(attention_);
}

// Of a shared receive queue the queue pair may hold one more receive, which it gives back before it
// says that this was the last.
void Connection::destroy_queue_pair() noexcept {
  state_ = State::closing;
  channel_.destroy_queue_pair();
  loop_.defer(attention_);
  for (Task& task : tasks_) task.drop();
  for (Command& command : commands_) command.drop();
}

void Connection::leave_session() noexcept {
  const bool home = std::all_of(commands_.begin(), commands_.end(), [](const Command& command) {
    return command.state() == CommandState::idle;
  });
  if (!home) return;
  idle_commands_.clear();
  idle_tasks_.clear();
  commands_.clear();
  tasks_.clear();
  if (session_) session_->detach(channel_);
  session_ = nullptr;
  state_ = State::detached;
  ticks_left_ = disconnect_s_max * ticks_per_second;
}

}  // namespace srp
