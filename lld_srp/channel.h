// One RDMA channel as verbs sees it: a queue pair with its completion queue, its receives, its send
// queue. It posts, counts and refuses; what a completion means is decided by those who call it.
//
// Queues of work wait here when the send queue is full or enough RDMA READs are outstanding: READs
// in one line, replies in another, so that a response never waits behind a READ that the device
// could not start yet. Long READs are cut in pieces and take turns.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lld_srp/credit.h"
#include "lld_srp/device.h"
#include "lld_srp/receive_queue.h"
#include "lld_srp/verbs.h"
#include "lld_srp/wire.h"
#include "plugin_api/event_loop.h"

namespace srp {

class Connection;

// Walks over ranges of the initiator's memory.
class DescriptorCursor {
 public:
  DescriptorCursor() = default;
  // The first `bytes` bytes that descriptors stand for; they sum up to no less.
  DescriptorCursor(std::span<const wire::MemoryDesc> descriptors, std::uint64_t bytes) noexcept
      : descriptors_(descriptors), left_(bytes) {}

  struct Range {
    std::uint64_t address;
    std::uint32_t key;
    std::uint32_t bytes;
    std::uint64_t offset;  // of the range within the whole
  };

  [[nodiscard]] bool done() const noexcept { return left_ == 0; }
  // The next range, no longer than bytes_max. Precondition: not done().
  Range peek(std::uint32_t bytes_max) noexcept;
  // Passes bytes of it.
  void pass(std::uint32_t bytes) noexcept;
  Range next(std::uint32_t bytes_max) noexcept {
    const Range range = peek(bytes_max);
    pass(range.bytes);
    return range;
  }

 private:
  std::span<const wire::MemoryDesc> descriptors_;
  std::uint64_t left_ = 0;      // bytes still to go
  std::uint64_t offset_ = 0;    // bytes passed
  std::uint32_t in_first_ = 0;  // bytes passed within the first descriptor
};

// Data-out, or a table of descriptors, on its way in: one or more RDMA READs.
struct Fetch : verbs::Work, QueueHook {
  Fetch() noexcept : Work(verbs::WorkKind::fetch) {}
  DescriptorCursor from;
  std::uint8_t* to = nullptr;
  std::uint32_t lkey = 0;
  unsigned outstanding = 0;  // READs posted and not completed

  [[nodiscard]] bool complete() const noexcept { return from.done() && outstanding == 0; }
};

// A response on its way out: RDMA WRITEs of data-in, if any, then the IU.
struct Reply : verbs::Work, QueueHook {
  using Work::Work;
  DescriptorCursor to;
  const std::uint8_t* from = nullptr;
  std::uint32_t lkey = 0;
  std::uint8_t* iu = nullptr;  // in the channel's memory
  std::uint32_t iu_bytes = 0;
  bool solicited = false;  // its arrival is to raise a solicited event
};

struct ChannelSizes {
  std::uint32_t credits = 0;           // request limit
  std::uint32_t request_bytes = 0;     // largest IU received
  std::uint32_t response_bytes = 0;    // largest IU sent
  std::uint32_t send_wrs = 0;          // wish; the device may have less
  std::uint8_t read_depth = 1;         // RDMA READs outstanding, as agreed with the initiator
  std::uint32_t rdma_bytes_max = 0;    // of one RDMA READ or WRITE; the device may allow less
  std::uint32_t immediate_offset = 0;  // of immediate data in an IU; 0: not granted
  std::uint8_t rnr_timer = 12;         // IBTA code; the CM's choice, 0, stands for 655 ms
  unsigned keepalive_s = 30;           // after so long without traffic the peer is asked; twice
                                       // that without an acknowledgement, and it is gone
  bool t_logout = false;               // say goodbye
  bool solicited_logout = false;       // with a solicited event
  bool solicited_credits = false;      // SRP_CRED_REQ with a solicited event
};

class Channel {
 public:
  // Builds everything and leaves the queue pair in INIT with all receives posted. attention is
  // deferred when the channel fails. Throws std::system_error.
  Channel(Device& device, Connection& connection, rdma_cm_id& id, const ChannelSizes& sizes,
          EventLoop& loop, Job& attention);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // To RTR and RTS, with what the CM has agreed. Throws std::system_error.
  void connect(rdma_cm_id& id);

  [[nodiscard]] Device& device() const noexcept { return device_; }
  [[nodiscard]] Connection& connection() const noexcept { return connection_; }
  [[nodiscard]] CreditLedger& credits() noexcept { return credits_; }
  [[nodiscard]] std::uint32_t qp_num() const noexcept { return qp_num_; }
  [[nodiscard]] const ChannelSizes& sizes() const noexcept { return sizes_; }

  // Stops the queue pair: nothing is posted any more, everything posted is flushed. Idempotent; the
  // first reason stays. why: a literal, for the log.
  void fail(const char* why) noexcept;
  // The same, but with an SRP_T_LOGOUT first if the settings want it and the initiator can take it.
  // Until that is out nothing else is sent, and nothing may be executed.
  void leave(const char* why, wire::LogoutReason reason) noexcept;
  [[nodiscard]] bool closing() const noexcept { return failed() || goodbye_ != nullptr; }
  [[nodiscard]] bool failed() const noexcept { return failure_ != nullptr; }
  [[nodiscard]] const char* failure() const noexcept { return failure_; }
  // Destroys the queue pair and CQ, after which the device touches no memory of ours on its behalf.
  // Not from within a completion of this channel. Idempotent.
  void destroy_queue_pair() noexcept;
  [[nodiscard]] bool queue_pair_destroyed() const noexcept { return !qp_; }

  // ---- receiving ----
  // A completion that nobody will look at: a shared receive that it gave back is posted again.
  void give_up(const ibv_wc& wc) noexcept;
  // A receive completed: it is the caller's until release().
  void take(Receive& receive, std::uint32_t bytes) noexcept;
  void release(Receive& receive) noexcept;
  // Requests that are taken and wait for an idle command, in order of arrival.
  void park(Receive& receive) noexcept { parked_.push_back(receive); }
  [[nodiscard]] Receive* first_parked() noexcept {
    return parked_.empty() ? nullptr : &parked_.front();
  }
  // Ends those for whose IU match(iu) holds, unanswered; a later response gives their credits back.
  template <class Match>
  void drop_parked(Match&& match) noexcept {
    for (auto it = parked_.begin(); it != parked_.end();) {
      Receive& receive = *it++;
      if (!match(std::span<const std::uint8_t>{receive.iu, receive.bytes})) continue;
      receive.unlink();
      credits_.earn();
      release(receive);
    }
  }

  // ---- sending: the object is the channel's until its completion; failures end in fail() ----
  void fetch(Fetch& fetch) noexcept;
  void reply(Reply& reply) noexcept;
  // Gives up what is not posted yet; true if nothing of it is outstanding.
  [[nodiscard]] bool cancel(Fetch& fetch) noexcept;

  // Announces credits that no response will, if the initiator cannot send because of them.
  // unanswered: requests that are served and get no response.
  void offer_credits(std::uint32_t unanswered) noexcept;
  // Are its receives the device's?
  [[nodiscard]] bool shares_receives() const noexcept { return !own_receives_; }

  // A response buffer for the command or task with this index, sizes().response_bytes long.
  [[nodiscard]] std::uint8_t* response_iu(std::uint32_t index) const noexcept;

  // ---- completions ----
  // Up to wcs.size() completions; the number taken, 0 also on failure of the CQ (then fail()).
  int poll(std::span<ibv_wc> wcs) noexcept;
  // Is another look worth while, after one that took this many? For a while after traffic it is:
  // the completion of a response, or the next request, is cheaper to find than to be woken for.
  [[nodiscard]] bool look_again(int taken) noexcept;
  void rearm() noexcept;
  void count_event() noexcept { ++events_unacked_; }
  // A signaled send-side work request succeeded.
  void on_sent() noexcept;
  void on_read(Fetch& fetch) noexcept;
  // An IU of our own accord is out.
  void on_notice() noexcept;
  // Posts what waits and fits; called at the end of a batch of completions.
  void pump() noexcept;
  // Once a tick while the connection lives: keeps it alive, or finds that it is not.
  void watch_peer() noexcept;

 private:
  using Receives = boost::intrusive::list<Receive, boost::intrusive::constant_time_size<false>>;
  using Fetches = boost::intrusive::list<Fetch, boost::intrusive::constant_time_size<false>>;
  using Replies = boost::intrusive::list<Reply, boost::intrusive::constant_time_size<false>>;

  // Queue pair transition with the CM's attributes.
  void modify(rdma_cm_id& id, ibv_qp_state state);
  void create_queue_pair();
  void post_receives() noexcept;
  bool post_read(Fetch& fetch) noexcept;
  bool post_reply(Reply& reply, std::uint32_t places) noexcept;
  bool post(ibv_send_wr& first, unsigned count) noexcept;
  // What one RDMA message moves. from: our memory, null where the data is the initiator's.
  DescriptorCursor::Range next_message(DescriptorCursor& cursor, const std::uint8_t* from) noexcept;
  [[nodiscard]] bool said_goodbye() const noexcept {
    return goodbye_ != nullptr && !notice_.is_linked();
  }
  void post_keepalive() noexcept;
  void drain_receives() noexcept;
  template <class IuOfOurs>
  void notify(IuOfOurs iu, bool solicited) noexcept;
  [[nodiscard]] std::uint32_t places_for_replies() const noexcept;

  Device& device_;
  Connection& connection_;
  EventLoop& loop_;
  Job& attention_;
  ChannelSizes sizes_;
  CreditLedger credits_;
  std::optional<ReceiveQueue> own_receives_;  // none where the device has one for all
  ReceiveQueue& receives_;
  std::size_t response_stride_;
  verbs::RegisteredMemory memory_;     // response IUs, then that of notices
  std::vector<std::uint16_t> covers_;  // ring: places given back by each signaled request, in order
  std::uint32_t covers_first_ = 0;
  std::uint32_t covers_count_ = 0;
  verbs::Cq cq_;
  verbs::Qp qp_;
  std::uint32_t qp_num_ = 0;
  std::uint32_t inline_bytes_ = 0;
  std::uint32_t send_wrs_ = 0;  // places in the send queue
  std::uint32_t send_wrs_used_ = 0;
  std::uint32_t reads_posted_ = 0;
  unsigned events_unacked_ = 0;
  unsigned empty_looks_ = 0;   // since something was found
  unsigned quiet_ticks_ = 0;   // since anything was received or sent
  unsigned silent_ticks_ = 0;  // since a send was acknowledged, while some are not
  const char* failure_ = nullptr;
  const char* goodbye_ = nullptr;  // the failure to be, while an SRP_T_LOGOUT is on its way
  unsigned goodbye_ticks_ = 0;     // since then
  bool heard_ = false;             // the initiator has sent something
  bool noticing_ = false;          // notice_ is on its way
  Receives parked_;
  Fetches fetches_;
  Replies replies_;
  Reply notice_{verbs::WorkKind::notice};
  verbs::Work progress_{verbs::WorkKind::progress};
  verbs::Work unsignaled_{verbs::WorkKind::unsignaled};
};

}  // namespace srp
