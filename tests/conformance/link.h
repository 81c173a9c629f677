// One RDMA/CM connection with its queue pair: what an initiator has before it speaks SRP.
#pragma once

#include <deque>
#include <optional>

#include "verbs.h"

namespace conformance {

// What a connection request offers; the values of Linux's initiator.
struct Terms {
  std::uint8_t responder_resources = 4;  // RDMA READs that the target may have open
  std::uint8_t initiator_depth = 0;
  std::uint8_t retry_count = 7;
  std::uint8_t rnr_retry_count = 7;
  std::uint8_t flow_control = 1;
  int receives = 160;
};

// What became of a connection request.
struct Answer {
  bool accepted = false;
  bool rejected = false;  // by the target; neither: nobody answered
  int status = 0;         // of the event
  Bytes private_data;
};

// A completion queue, and the channel that tells of it.
struct Completions {
  CompChannel channel;
  Cq cq;

  void open(ibv_context& device, int entries);
  // The next completion raises an event; only_solicited: the next one of a solicited send.
  void arm(bool only_solicited);
  // Takes the events that have come, and says whether there were any.
  [[nodiscard]] bool take_events();
};

class Link {
 public:
  Link(const Fabric& fabric, const Terms& terms);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Blocks until the target has answered.
  Answer connect(View private_data, Deadline deadline);

  // Only asks, and does not look at the answer.
  void request(View private_data);

  // A SEND of up to iu_bytes_max. Returns before it is delivered; waits only when all send buffers
  // are in use.
  void send(View bytes, Deadline deadline);

  // The next IU that came, or none: the time is over or the connection is broken.
  std::optional<Bytes> receive(Deadline deadline);

  // The connection has ended, from whichever side and for whatever reason.
  [[nodiscard]] bool ended() const { return !end_.empty(); }
  [[nodiscard]] bool iwarp() const {
    return id_->verbs->device->transport_type == IBV_TRANSPORT_IWARP;
  }
  [[nodiscard]] const std::string& end() const { return end_; }  // why, for messages
  // A DREQ came, or the last words of the CM.
  [[nodiscard]] bool disconnected() const { return disconnected_; }
  bool wait_until_ended(Deadline deadline);

  // DREQ, and no wait for its answer.
  void disconnect();
  // As above, and waits until the target has agreed; false if it does not.
  bool disconnect_and_wait(Deadline deadline);

  // Asks for an event of the next IU that is sent as solicited; has there been one since?
  void watch_solicited();
  bool saw_solicited();

  // Stops giving back receives, as an initiator does that is stuck.
  void starve(bool on);

  static constexpr std::size_t iu_bytes_max = 16384;

 private:
  static constexpr int send_slots = 32;
  static constexpr std::size_t receive_bytes = 2048;

  void post_receive(std::size_t index);
  void poll_sends();
  void poll_receives();
  void poll_events();
  void progress();
  void wait(Deadline deadline);
  void finish(std::string why);

  Terms terms_;
  EventChannel events_;
  CmId id_;
  Completions sends_;
  Completions receives_;
  Region send_memory_;
  Region receive_memory_;
  std::vector<std::size_t> free_slots_;
  std::vector<std::size_t> starved_;
  std::deque<Bytes> arrivals_;
  std::string end_;
  bool starving_ = false;
  bool watching_solicited_ = false;
  bool disconnected_ = false;
  bool connected_ = false;
};

}  // namespace conformance
