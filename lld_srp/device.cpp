#include "lld_srp/device.h"

#include <algorithm>
#include <bit>

#include "lld_srp/device_watch.h"
#include "lld_srp/limits.h"
#include "plugin_api/log.h"

namespace srp {

namespace {

DeviceLimits query_limits(ibv_context& context) {
  ibv_device_attr device{};
  verbs::require(ibv_query_device(&context, &device), "ibv_query_device");
  DeviceLimits limits;
  limits.send_wrs_max = static_cast<std::uint32_t>(std::max(device.max_qp_wr, 0));
  limits.cqes_max = static_cast<std::uint32_t>(std::max(device.max_cqe, 0));
  limits.srq_wrs_max =
      device.max_srq > 0 ? static_cast<std::uint32_t>(std::max(device.max_srq_wr, 0)) : 0;
  limits.read_depth_max =
      static_cast<std::uint8_t>(std::clamp(device.max_qp_init_rd_atom, 0, int{read_depth_max}));
  limits.iwarp = context.device->transport_type == IBV_TRANSPORT_IWARP;
  limits.message_bytes_max = 1U << 31;
  for (int port = 1; port <= device.phys_port_cnt; ++port) {
    ibv_port_attr attr{};
    verbs::require(ibv_query_port(&context, static_cast<std::uint8_t>(port), &attr),
                   "ibv_query_port");
    // Some drivers leave the field empty on ports that are down.
    if (attr.max_msg_sz != 0) {
      limits.message_bytes_max = std::min(limits.message_bytes_max, attr.max_msg_sz);
    }
  }
  return limits;
}

int sink_access(const DeviceLimits& limits) noexcept {
  return IBV_ACCESS_LOCAL_WRITE | (limits.iwarp ? IBV_ACCESS_REMOTE_WRITE : 0);
}

constexpr std::size_t mib = std::size_t{1} << 20;

// A queue for all channels, if the settings want one and the device has such.
std::optional<ReceiveQueue> make_shared_receives(ibv_pd& pd, const DeviceLimits& limits,
                                                 const Settings& settings, const char* name) {
  if (!settings.use_srq) return std::nullopt;
  if (limits.srq_wrs_max == 0) {
    log_notice("device %s: no shared receive queues: each channel has its own", name);
    return std::nullopt;
  }
  ibv_srq_init_attr init{};
  const std::uint32_t receives = std::min(settings.srpt_srq_size, limits.srq_wrs_max);
  init.attr.max_wr = receives;
  init.attr.max_sge = 1;
  verbs::Srq srq{verbs::required(ibv_create_srq(&pd, &init), "ibv_create_srq")};
  const ReceiveSizes sizes{receives, receives, settings.srp_max_req_size,
                           settings.immediate_data ? usual_immediate_offset : 0};
  return std::make_optional<ReceiveQueue>(pd, sizes, std::move(srq));
}

}  // namespace

Device::Device(ibv_device* device, EventLoop& loop, const Settings& settings,
               const Callbacks& callbacks)
    : callbacks_(callbacks),
      name_(ibv_get_device_name(device)),
      context_(verbs::required(ibv_open_device(device), "ibv_open_device")),
      identity_(device_identity(device->dev_path)),
      limits_(query_limits(*context_)),
      pd_(verbs::required(ibv_alloc_pd(context_.get()), "ibv_alloc_pd")),
      buffers_(*pd_, loop, sink_access(limits_), std::bit_ceil(settings.command_mib_max * mib),
               settings.buffer_mib * mib),
      tables_(*pd_, loop, sink_access(limits_), table_extent_bytes, table_memory_bytes_max),
      shared_receives_(make_shared_receives(*pd_, limits_, settings, name_.c_str())),
      scratch_(*pd_, page_bytes, IBV_ACCESS_LOCAL_WRITE),
      completions_(
          verbs::required(ibv_create_comp_channel(context_.get()), "ibv_create_comp_channel")) {
  set_nonblocking(completions_->fd);
  set_nonblocking(context_->async_fd);
  completion_watch_.emplace(completions_->fd, on_completion_event, this);
  async_watch_.emplace(context_->async_fd, on_async_event, this);
  log_notice("device %s: send queue %u, READ depth %u, message %u bytes%s", name_.c_str(),
             limits_.send_wrs_max, limits_.read_depth_max, limits_.message_bytes_max,
             limits_.iwarp ? ", iWARP" : "");
}

Device::~Device() { SRP_ASSERT(channels_ == 0); }

// The kernel reports an error on the descriptors of a device that is gone for as long as they are
// open: a watch would be called for ever.
void Device::mark_removed() noexcept {
  removed_ = true;
  completion_watch_.reset();
  async_watch_.reset();
}

bool Device::still_there() const noexcept {
  return identity_ == 0 || device_identity(context_->device->dev_path) == identity_;
}

void Device::on_completion_event(void* self) noexcept {
  auto& device = *static_cast<Device*>(self);
  ibv_cq* cq = nullptr;
  void* channel = nullptr;
  // Bounded: what is left wakes us again, since the descriptor is watched level-triggered.
  for (int i = 0; i < poll_budget; ++i) {
    if (ibv_get_cq_event(device.completions_.get(), &cq, &channel) != 0) return;
    device.callbacks_.on_event(*static_cast<Channel*>(channel));
  }
}

void Device::on_async_event(void* self) noexcept {
  auto& device = *static_cast<Device*>(self);
  ibv_async_event event;
  while (ibv_get_async_event(device.context_.get(), &event) == 0) {
    device.handle_async(event);
    ibv_ack_async_event(&event);
  }
}

void Device::handle_async(ibv_async_event& event) noexcept {
  switch (event.event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
      log_error("device %s: %s", name_.c_str(), ibv_event_type_str(event.event_type));
      callbacks_.on_queue_pair_error(*static_cast<Channel*>(event.element.qp->qp_context));
      return;
    case IBV_EVENT_CQ_ERR:
      log_error("device %s: %s", name_.c_str(), ibv_event_type_str(event.event_type));
      callbacks_.on_queue_pair_error(*static_cast<Channel*>(event.element.cq->cq_context));
      return;
    case IBV_EVENT_QP_LAST_WQE_REACHED:
      return callbacks_.on_last_receive(*static_cast<Channel*>(event.element.qp->qp_context));
    case IBV_EVENT_SRQ_ERR:  // with it all channels are lost; the next login opens the device anew
    case IBV_EVENT_DEVICE_FATAL:
      log_error("device %s: %s", name_.c_str(), ibv_event_type_str(event.event_type));
      mark_removed();  // the next tick closes what is on it
      return;
    case IBV_EVENT_PORT_ACTIVE:
    case IBV_EVENT_PORT_ERR:  // retries may outlast it
      log_notice("device %s: port %d: %s", name_.c_str(), event.element.port_num,
                 ibv_event_type_str(event.event_type));
      return;
    default: log_debug("device %s: %s", name_.c_str(), ibv_event_type_str(event.event_type));
  }
}

}  // namespace srp
