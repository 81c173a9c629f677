// One RDMA device: our own context on it, its limits, its data memory, its completion channel.
//
// The context is ours although librdmacm has one for the same device, because tgtd's iser driver
// takes every asynchronous event of that one for its own. Listener finds or makes the Device of a
// connection request; channels refer to it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "lld_srp/buffer_pool.h"
#include "lld_srp/config.h"
#include "lld_srp/receive_queue.h"
#include "lld_srp/verbs.h"
#include "plugin_api/event_loop.h"

namespace srp {

class Channel;

struct DeviceLimits {
  std::uint32_t send_wrs_max = 0;  // of a queue pair
  std::uint32_t cqes_max = 0;      // of a completion queue
  std::uint32_t srq_wrs_max = 0;   // of a shared receive queue; 0: there are none
  std::uint32_t message_bytes_max = 0;
  std::uint8_t read_depth_max = 0;  // RDMA READs that a queue pair of ours may have outstanding
  bool iwarp = false;               // READ responses need REMOTE_WRITE on their sink
};

class Device {
 public:
  // What the device tells its owner, on the main thread.
  struct Callbacks {
    void (*on_event)(Channel&) noexcept;             // the channel's CQ raised an event
    void (*poll)(Channel&) noexcept;                 // its completions are to be looked at
    void (*on_queue_pair_error)(Channel&) noexcept;  // asynchronous error of its queue pair or CQ
    void (*on_last_receive)(Channel&) noexcept;      // of a shared queue, by a failed queue pair
  };

  // Opens the device; throws std::system_error.
  Device(ibv_device* device, EventLoop& loop, const Settings& settings, const Callbacks& callbacks);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const DeviceLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] ibv_context& context() const noexcept { return *context_; }
  [[nodiscard]] ibv_pd& pd() const noexcept { return *pd_; }
  [[nodiscard]] ibv_comp_channel& completions() const noexcept { return *completions_; }
  [[nodiscard]] BufferPool& buffers() noexcept { return buffers_; }
  // For tables of descriptors that are fetched from initiators.
  [[nodiscard]] BufferPool& tables() noexcept { return tables_; }
  // The receives of all channels; null where each has its own.
  [[nodiscard]] ReceiveQueue* shared_receives() noexcept {
    return shared_receives_ ? &*shared_receives_ : nullptr;
  }
  // A page that tgtd may scribble on, for directions in which a command moves nothing.
  [[nodiscard]] std::uint8_t* scratch() const noexcept { return scratch_.data(); }

  // Our context is on this device of librdmacm's.
  [[nodiscard]] bool is(const ibv_device* device) const noexcept {
    return context_->device == device;
  }
  // Its entry in sysfs is the one that we opened.
  [[nodiscard]] bool still_there() const noexcept;
  // The kernel has taken the device away: nothing on it completes any more.
  [[nodiscard]] bool removed() const noexcept { return removed_; }
  void mark_removed() noexcept;

  // Looks at the channel's completions.
  void poll(Channel& channel) noexcept { callbacks_.poll(channel); }

  // Channels on the device; they count themselves in and out.
  void attach() noexcept { ++channels_; }
  void detach() noexcept { --channels_; }
  [[nodiscard]] unsigned channels() const noexcept { return channels_; }

 private:
  static void on_completion_event(void* self) noexcept;
  static void on_async_event(void* self) noexcept;
  void handle_async(ibv_async_event& event) noexcept;

  Callbacks callbacks_;
  std::string name_;
  verbs::Context context_;
  std::uint64_t identity_;  // of its entry in sysfs; 0: none
  DeviceLimits limits_;
  verbs::Pd pd_;
  BufferPool buffers_;
  BufferPool tables_;
  std::optional<ReceiveQueue> shared_receives_;
  verbs::RegisteredMemory scratch_;
  verbs::CompChannel completions_;
  std::optional<FdWatch> completion_watch_;
  std::optional<FdWatch> async_watch_;
  unsigned channels_ = 0;
  bool removed_ = false;
};

}  // namespace srp
