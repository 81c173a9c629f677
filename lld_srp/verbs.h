// Verbs objects with one owner each, and the tags that work requests carry. A class declares its
// handles in the order in which verbs builds them; destruction is then teardown.
#pragma once

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>

#include "plugin_api/log.h"

namespace srp::verbs {

// A destroy that fails means that our order is wrong: reported, never retried.
template <auto Destroy>
struct Destroyer {
  template <class T>
  void operator()(T* object) const noexcept {
    if (const int error = Destroy(object)) {
      log_error("%s: error %d", __PRETTY_FUNCTION__, error < 0 ? errno : error);
    }
  }
};
struct EventChannelDestroyer {
  void operator()(rdma_event_channel* channel) const noexcept {
    rdma_destroy_event_channel(channel);
  }
};

using Context = std::unique_ptr<ibv_context, Destroyer<ibv_close_device>>;
using Pd = std::unique_ptr<ibv_pd, Destroyer<ibv_dealloc_pd>>;
using Mr = std::unique_ptr<ibv_mr, Destroyer<ibv_dereg_mr>>;
using CompChannel = std::unique_ptr<ibv_comp_channel, Destroyer<ibv_destroy_comp_channel>>;
using Srq = std::unique_ptr<ibv_srq, Destroyer<ibv_destroy_srq>>;
using Cq = std::unique_ptr<ibv_cq, Destroyer<ibv_destroy_cq>>;
using Qp = std::unique_ptr<ibv_qp, Destroyer<ibv_destroy_qp>>;
using CmId = std::unique_ptr<rdma_cm_id, Destroyer<rdma_destroy_id>>;
using EventChannel = std::unique_ptr<rdma_event_channel, EventChannelDestroyer>;

// The object, or std::system_error{errno, what}.
template <class T>
T* required(T* object, const char* what) {
  if (object == nullptr) throw std::system_error(errno, std::generic_category(), what);
  return object;
}
// For calls that return 0, a positive errno, or -1 with errno.
inline void require(int result, const char* what) {
  if (result != 0) {
    throw std::system_error(result > 0 ? result : errno, std::generic_category(), what);
  }
}

// Page-aligned, zeroed memory that a device may read and write, from construction to destruction.
class RegisteredMemory {
 public:
  // Throws std::system_error (ENOMEM: no memory, or more than RLIMIT_MEMLOCK lets us pin).
  RegisteredMemory(ibv_pd& pd, std::size_t bytes, int access);
  ~RegisteredMemory();
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;

  [[nodiscard]] std::uint8_t* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t lkey() const noexcept { return mr_->lkey; }

 private:
  std::uint8_t* data_;
  std::size_t size_;
  Mr mr_;
};

// What a work request was, since a failed completion says nothing but its wr_id: the address of a
// Work.
enum class WorkKind : std::uint8_t {
  receive,        // Receive: an IU came
  fetch,          // Fetch: an RDMA READ of a command's data-out
  command_reply,  // Reply: a command's response was sent
  task_reply,     // Reply: a task's response was sent
  notice,         // Reply: an IU of our own accord was sent
  progress,       // part of a long chain; it only gives back its places in the send queue
  unsignaled,     // completes only when flushed
};

struct Work {
  explicit Work(WorkKind work_kind) noexcept : kind(work_kind) {}
  WorkKind kind;

  [[nodiscard]] std::uint64_t id() const noexcept { return reinterpret_cast<std::uint64_t>(this); }
  static Work& of(const ibv_wc& wc) noexcept { return *reinterpret_cast<Work*>(wc.wr_id); }
};

}  // namespace srp::verbs
