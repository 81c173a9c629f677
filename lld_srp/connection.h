// One RDMA/CM connection that carries an SRP channel: its cm id, its channel, its commands and
// tasks. It takes the channel's IUs apart by opcode, and takes the channel down in order.
//
// Teardown: the channel fails (a completion, the CM, an administrator, a protocol error). A
// disconnect request is sent. Queue pair and CQ are destroyed, so that the device touches no memory
// of ours any more. Commands and tasks that tgtd does not hold end; tgtd gives back the others. The
// channel leaves its session. The other side confirms the disconnect, or time is up: the connection
// is destroyed.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "lld_srp/channel.h"
#include "lld_srp/command.h"
#include "lld_srp/path.h"
#include "lld_srp/session.h"
#include "lld_srp/task.h"
#include "lld_srp/verbs.h"

namespace srp {

class Connection {
 public:
  // Builds the channel for a connection request; throws std::system_error. id stays the caller's
  // until own(). reap is deferred when the connection is done. login_timeout_s: until established.
  Connection(rdma_cm_id& id, Device& device, const ChannelSizes& sizes, unsigned login_timeout_s,
             EventLoop& loop, Job& reap);
  // Precondition: no command is tgtd's.
  ~Connection();
  void own(verbs::CmId id) noexcept { id_ = std::move(id); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] Channel& channel() noexcept { return channel_; }
  [[nodiscard]] const Path& path() const noexcept { return path_; }
  // The initiator's address and port, as text.
  [[nodiscard]] const std::string& peer() const noexcept { return peer_; }
  // Neither established nor over.
  [[nodiscard]] bool connecting() const noexcept { return state_ == State::connecting; }
  // Commands that wait for data memory of the device.
  [[nodiscard]] std::size_t waiting() const noexcept;
  // Null once the channel has left it.
  [[nodiscard]] Session* session() const noexcept { return session_; }
  [[nodiscard]] bool established() const noexcept { return state_ == State::live; }
  [[nodiscard]] bool done() const noexcept { return state_ == State::gone; }

  // Becomes a channel of session and sends the login response. Throws std::system_error; the
  // connection must be failed then.
  void accept(Session& session, const wire::LoginRsp& response);

  // Refuses the login that it was made for.
  void refuse(const wire::LoginRej& rej) noexcept;
  // If the channel has failed, takes it as far down as it goes now. Not from within its
  // completions.
  void finish_closing() noexcept {
    hurried_ = channel_.failed();
    on_attention();
  }
  // Takes the connection down now, without waiting for anybody: the driver ends.
  void shut_down() noexcept;

  // From the CM.
  void on_established() noexcept;
  void on_disconnected(const char* why) noexcept;
  // From the device: the queue pair has given back its last receive.
  void on_last_receive() noexcept;
  void on_tick() noexcept;

  // From completions.
  void on_receive(Receive& receive, std::uint32_t bytes) noexcept;
  // The batch of completions is over: requests that found no idle command get theirs.
  void serve_parked() noexcept;

  // Runs poll again soon, though no event comes: the budget was used up.
  void poll_later() noexcept { loop_.defer(poll_); }

 private:
  enum class State : std::uint8_t {
    connecting,  // until ESTABLISHED or the first IU
    live,
    draining,  // the queue pair has failed and gives back receives that it shares
    closing,   // the queue pair is destroyed; commands come home
    detached,  // out of the session; the CM has not confirmed yet
    gone,
  };
  void poll() noexcept;
  void start(Receive& receive) noexcept;
  void on_invalid(Receive& receive) noexcept;
  [[nodiscard]] bool can_start(const Receive& receive) const noexcept;
  void on_attention() noexcept;
  void close() noexcept;
  void destroy_queue_pair() noexcept;
  void abandon_commands() noexcept;
  void offer_credits() noexcept;
  void leave_session() noexcept;

  EventLoop& loop_;
  Job& reap_;
  Job attention_;
  Job poll_;
  verbs::CmId id_;
  Path path_;
  std::string peer_;
  Channel channel_;
  Session* session_ = nullptr;
  Command::Pool idle_commands_;
  Task::Pool idle_tasks_;
  std::deque<Command> commands_;
  std::deque<Task> tasks_;
  State state_ = State::connecting;
  bool hurried_ = false;    // no time for draining
  bool drained_ = false;    // nothing more comes
  bool peer_gone_ = false;  // the CM has said that the connection is over
  unsigned ticks_left_;     // of connecting, draining and detached
};

}  // namespace srp
