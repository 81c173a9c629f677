#include "verbs.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "check.h"

namespace conformance {

namespace {

constexpr int resolve_ms = 10000;

int milliseconds_until(Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long>(left + 1, 0, 60000));
}

void await_event(rdma_event_channel& channel, rdma_cm_event_type wanted) {
  const CmEvent event(channel, in_milliseconds(2 * resolve_ms));
  check(static_cast<bool>(event), "no answer to ", rdma_event_str(wanted));
  check(event->event == wanted, rdma_event_str(event->event), " (", event->status, ") instead of ",
        rdma_event_str(wanted));
}

}  // namespace

void wait_readable(std::initializer_list<int> descriptors, Deadline deadline) {
  std::vector<pollfd> fds;
  for (const int fd : descriptors) fds.push_back({fd, POLLIN, 0});
  (void)::poll(fds.data(), fds.size(), milliseconds_until(deadline));
}

void require(int result, const char* what) {
  if (result != 0) {
    throw std::system_error(result > 0 ? result : errno, std::generic_category(), what);
  }
}

Region::Region(ibv_pd& pd, std::size_t bytes, int access)
    : bytes_(bytes),
      memory_(
          required(static_cast<std::uint8_t*>(std::aligned_alloc(4096, (bytes + 4095) & ~4095ul)),
                   "aligned_alloc")) {
  fill(0);
  mr_.reset(required(ibv_reg_mr(&pd, memory_.get(), bytes_, access), "ibv_reg_mr"));
}

void Region::fill(std::uint8_t byte) { std::memset(memory_.get(), byte, bytes_); }

void Region::copy_in(View bytes, std::size_t at) { std::ranges::copy(bytes, all().data() + at); }

EventChannel make_event_channel() {
  EventChannel channel(required(rdma_create_event_channel(), "rdma_create_event_channel"));
  require(::fcntl(channel->fd, F_SETFL, O_NONBLOCK), "fcntl");
  return channel;
}

CmId make_cm_id(rdma_event_channel& channel) {
  rdma_cm_id* id = nullptr;
  require(rdma_create_id(&channel, &id, nullptr, RDMA_PS_TCP), "rdma_create_id");
  return CmId(id);
}

void resolve(rdma_cm_id& id, rdma_event_channel& channel, const sockaddr& destination) {
  auto* to = const_cast<sockaddr*>(&destination);  // librdmacm does not write it
  require(rdma_resolve_addr(&id, nullptr, to, resolve_ms), "rdma_resolve_addr");
  await_event(channel, RDMA_CM_EVENT_ADDR_RESOLVED);
  require(rdma_resolve_route(&id, resolve_ms), "rdma_resolve_route");
  await_event(channel, RDMA_CM_EVENT_ROUTE_RESOLVED);
}

CmEvent::CmEvent(rdma_event_channel& channel, Deadline deadline) {
  while (rdma_get_cm_event(&channel, &event_) != 0) {
    event_ = nullptr;
    if (errno != EAGAIN && errno != EINTR) require(-1, "rdma_get_cm_event");
    if (Clock::now() >= deadline) return;
    wait_readable({channel.fd}, deadline);
  }
}

Fabric::Fabric(const char* host, const char* port) : events_(make_event_channel()) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host, port, &hints, &found);
  check(error == 0, "dest=", host, ":", port, ": ", ::gai_strerror(error));
  std::memcpy(&destination_, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);

  id_ = make_cm_id(*events_);
  resolve(*id_, *events_, destination());
  pd_.reset(required(ibv_alloc_pd(id_->verbs), "ibv_alloc_pd"));
  iwarp_ = id_->verbs->device->transport_type == IBV_TRANSPORT_IWARP;
}

}  // namespace conformance
