// One owner for each object of verbs and RDMA/CM, and the memory that a target may reach.
#pragma once

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>

#include "bytes.h"
#include "iu.h"

namespace conformance {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
inline Deadline in_seconds(int seconds) { return Clock::now() + std::chrono::seconds(seconds); }
inline Deadline in_milliseconds(int ms) { return Clock::now() + std::chrono::milliseconds(ms); }

// Waits until one of these descriptors can be read, or the time is over.
void wait_readable(std::initializer_list<int> descriptors, Deadline deadline);

// Errors of the machine, not of the target: std::system_error.
void require(int result, const char* what);
template <class T>
T* required(T* object, const char* what) {
  require(object == nullptr ? -1 : 0, what);
  return object;
}

template <auto Destroy>
struct Destroyer {
  template <class T>
  void operator()(T* object) const noexcept {
    (void)Destroy(object);
  }
};
struct EventChannelDestroyer {
  void operator()(rdma_event_channel* channel) const noexcept {
    rdma_destroy_event_channel(channel);
  }
};
using Pd = std::unique_ptr<ibv_pd, Destroyer<ibv_dealloc_pd>>;
using Mr = std::unique_ptr<ibv_mr, Destroyer<ibv_dereg_mr>>;
using CompChannel = std::unique_ptr<ibv_comp_channel, Destroyer<ibv_destroy_comp_channel>>;
using Cq = std::unique_ptr<ibv_cq, Destroyer<ibv_destroy_cq>>;
using CmId = std::unique_ptr<rdma_cm_id, Destroyer<rdma_destroy_id>>;
using EventChannel = std::unique_ptr<rdma_event_channel, EventChannelDestroyer>;

// Registered memory. A target may read and write it unless said otherwise.
class Region {
 public:
  static constexpr int remote =
      IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
  Region(ibv_pd& pd, std::size_t bytes, int access = remote);

  [[nodiscard]] std::span<std::uint8_t> all() { return {memory_.get(), bytes_}; }
  [[nodiscard]] View view(std::size_t at, std::size_t count) const {
    return View(memory_.get(), bytes_).subspan(at, count);
  }
  [[nodiscard]] std::size_t size() const { return bytes_; }
  [[nodiscard]] std::uint32_t lkey() const { return mr_->lkey; }
  [[nodiscard]] Descriptor at(std::size_t where, std::size_t count) const {
    return {reinterpret_cast<std::uint64_t>(memory_.get()) + where, mr_->rkey,
            static_cast<std::uint32_t>(count)};
  }
  void fill(std::uint8_t byte);
  void copy_in(View bytes, std::size_t at = 0);

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const noexcept { ::free(memory); }
  };
  std::size_t bytes_;
  std::unique_ptr<std::uint8_t, Free> memory_;
  Mr mr_;
};

// The target's address, and our device that reaches it. librdmacm keeps its device open for the
// whole process, so one protection domain serves all connections.
class Fabric {
 public:
  Fabric(const char* host, const char* port);

  [[nodiscard]] const sockaddr& destination() const {
    return reinterpret_cast<const sockaddr&>(destination_);
  }
  [[nodiscard]] ibv_pd& pd() const { return *pd_; }
  [[nodiscard]] bool iwarp() const { return iwarp_; }
  [[nodiscard]] const char* device_name() const {
    return ibv_get_device_name(pd_->context->device);
  }

 private:
  sockaddr_storage destination_{};
  EventChannel events_;
  CmId id_;  // only resolved: it holds the device
  Pd pd_;
  bool iwarp_ = false;
};

// The next event of a channel, acknowledged when this goes out of scope; empty when the time is
// over.
class CmEvent {
 public:
  CmEvent(rdma_event_channel& channel, Deadline deadline);
  ~CmEvent() {
    if (event_ != nullptr) rdma_ack_cm_event(event_);
  }
  CmEvent(const CmEvent&) = delete;
  CmEvent& operator=(const CmEvent&) = delete;
  explicit operator bool() const { return event_ != nullptr; }
  const rdma_cm_event* operator->() const { return event_; }

 private:
  rdma_cm_event* event_ = nullptr;
};

EventChannel make_event_channel();
CmId make_cm_id(rdma_event_channel& channel);
// Address and route; fails the case if there is none in time.
void resolve(rdma_cm_id& id, rdma_event_channel& channel, const sockaddr& destination);

}  // namespace conformance
