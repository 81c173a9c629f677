// The connection manager: librdmacm's identifiers and events, and the messages that two sides
// exchange.
//
// Every message is delivered when the simulation says so, in order in each direction. Rules that
// the driver could break (an event never acknowledged, an identifier destroyed under its own event)
// fail.
#pragma once

#include <rdma/rdma_cma.h>

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "tests/fake/fabric.h"
#include "tests/fake/infiniband.h"

namespace srp::fake {

struct CmEvent;
struct CmConnection;

struct CmChannel : rdma_event_channel {
  std::deque<std::unique_ptr<CmEvent>> events;  // not fetched
  unsigned ids = 0;
};

struct CmId : rdma_cm_id {
  enum class State : std::uint8_t {
    idle,
    bound,
    listening,
    request,  // of an initiator, not answered
    replied,  // accepted; the initiator has not confirmed
    established,
    dreq_sent,
    dreq_received,
    closed,
  };
  State state = State::idle;
  bool v6_only = false;
  Hca* hca = nullptr;
  unsigned unacked = 0;
  CmConnection* connection = nullptr;  // of a connection request
};

// An event holds what it points to until it is acknowledged.
struct CmEvent : rdma_cm_event {
  Bytes private_data;
  CmId* counted_on;  // the identifier whose destruction waits for the acknowledgement
};

enum class CmMessage : std::uint8_t { rep, rtu, rej, dreq, drep };

// What the initiator asks for in its connection request.
struct ConnectRequest {
  std::uint16_t port = 0;
  Bytes private_data;
  std::uint8_t responder_resources = 4;
  std::uint8_t initiator_depth = 0;
  sockaddr_storage source{};
  sockaddr_storage destination{};
};

struct CmConnection : Connection {
  ConnectRequest request;
  Hca* hca = nullptr;
  CmId* id = nullptr;      // the driver's: from the request's arrival to its destruction
  bool requested = false;  // the request has arrived
  bool timewait = false;   // TIMEWAIT_EXIT is due
  struct ToInitiator {
    CmMessage message;
    int reason;
    Bytes private_data;
  };
  std::deque<ToInitiator> to_initiator;
  std::deque<CmMessage> to_target;

  void add_choices(Choices& choices);
  // For the initiator.
  void send(CmMessage message) { to_target.push_back(message); }
  // For the driver.
  void answer(CmMessage message, int reason = 0, std::span<const std::uint8_t> private_data = {});
  // Both sides have forgotten it.
  [[nodiscard]] bool over() const { return peer == nullptr && qp == nullptr && id == nullptr; }

 private:
  void request_arrives();
  void message_to_target();
  void message_to_initiator();
  void time_out();
  void leave_timewait();
  void on_rtu();
  void on_dreq();
  [[nodiscard]] bool may_time_out() const;
};

class Cm {
 public:
  Cm();
  ~Cm();

  // Sends a connection request to the driver's listener on that port.
  CmConnection& connect(Peer& peer, Hca& hca, ConnectRequest request);
  [[nodiscard]] CmId* listener(std::uint16_t port, bool by_gid = false) const;
  // Tells the identifiers on a device that goes away.
  void on_removal(Hca& hca);
  void add_choices(Choices& choices);
  void expect_nothing_left() const;

  CmEvent& raise(CmId& id, rdma_cm_event_type type, int status = 0);
  CmId& create_id(CmChannel& channel, void* context);
  void destroy_id(CmId& id);

  std::vector<std::unique_ptr<CmChannel>> channels;
  std::vector<std::unique_ptr<CmId>> ids;
  std::vector<std::unique_ptr<CmEvent>> unacked;  // fetched
  std::vector<std::unique_ptr<CmConnection>> connections;
  // A listener has gone with requests that nobody had fetched: nobody answers those.
  bool orphaned = false;
};

}  // namespace srp::fake
