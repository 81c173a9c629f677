// Registered buffers for IUs, and the queue that they are posted to: a channel's own, or one that
// all channels of a device share (SRQ).
//
// A receive is posted, or holds what arrived and is somebody's until release(), or is spare. A
// channel of its own has more than are posted, so that requests that are being served never keep
// new ones out; of a shared queue all are posted, and those that are held are missing there.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <vector>

#include "lld_srp/verbs.h"

namespace srp {

using QueueHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// An IU's buffer.
struct Receive : verbs::Work, QueueHook {
  explicit Receive(std::uint8_t* buffer) noexcept : Work(verbs::WorkKind::receive), iu(buffer) {}
  std::uint8_t* iu;
  std::uint32_t bytes = 0;  // received
};

struct ReceiveSizes {
  std::uint32_t posted = 0;          // receives that the device holds at most
  std::uint32_t total = 0;           // receives that there are
  std::uint32_t bytes = 0;           // of an IU
  std::uint32_t aligned_offset = 0;  // the byte of an IU that lies at the start of a page; 0: none
};

class ReceiveQueue {
 public:
  // Registers the memory; nothing is posted yet. Throws std::system_error.
  ReceiveQueue(ibv_pd& pd, const ReceiveSizes& sizes);
  // The same, for a shared queue, which it makes and owns.
  ReceiveQueue(ibv_pd& pd, const ReceiveSizes& sizes, verbs::Srq srq);
  ReceiveQueue(const ReceiveQueue&) = delete;
  ReceiveQueue& operator=(const ReceiveQueue&) = delete;

  // Null for a channel's own queue.
  [[nodiscard]] ibv_srq* shared() const noexcept { return srq_.get(); }
  [[nodiscard]] const ReceiveSizes& sizes() const noexcept { return sizes_; }
  [[nodiscard]] std::uint32_t posted() const noexcept { return posted_; }
  [[nodiscard]] std::size_t bytes_registered() const noexcept { return memory_.size(); }

  // Posts as many as there is room for; false: verbs refused. qp: of a channel's own queue.
  [[nodiscard]] bool post(ibv_qp* qp) noexcept;
  // The device has given receive back, with an IU or without.
  void take(Receive& receive, std::uint32_t bytes) noexcept;
  void release(Receive& receive) noexcept { spare_.push_front(receive); }

 private:
  ReceiveSizes sizes_;
  std::size_t stride_;
  verbs::RegisteredMemory memory_;
  verbs::Srq srq_;                 // goes before the memory that is posted to it
  std::vector<Receive> receives_;  // never grows: their addresses are work request ids
  boost::intrusive::list<Receive, boost::intrusive::constant_time_size<false>> spare_;
  std::uint32_t posted_ = 0;
};

}  // namespace srp
