#include "lld_srp/listener.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lld_srp/address.h"
#include "lld_srp/completion.h"
#include "lld_srp/infiniband.h"
#include "lld_srp/limits.h"

namespace srp {

namespace {

constexpr const char* any_ipv4 = "0.0.0.0";
constexpr const char* any_ipv6 = "::";

struct AddrinfoDeleter {
  void operator()(addrinfo* info) const noexcept { freeaddrinfo(info); }
};

// Throws std::runtime_error for what is not a numeric address.
sockaddr_storage resolve(const Portal& portal) {
  if (portal.address == infiniband_portal) return infiniband_address(portal.port);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* info = nullptr;
  const int error =
      getaddrinfo(portal.address.c_str(), std::to_string(portal.port).c_str(), &hints, &info);
  if (error != 0) throw std::runtime_error(gai_strerror(error));
  const std::unique_ptr<addrinfo, AddrinfoDeleter> owner{info};
  sockaddr_storage address{};
  std::memcpy(&address, info->ai_addr, info->ai_addrlen);
  return address;
}

}  // namespace

struct Listener::CmEvent {
  rdma_cm_event_type type{};
  rdma_cm_id* id = nullptr;
  rdma_cm_id* listen_id = nullptr;
  int status = 0;
  rdma_conn_param param{};
  std::array<std::uint8_t, 256> private_data;  // all that RDMA/CM carries
  std::size_t private_bytes = 0;
};

const Device::Callbacks Listener::device_callbacks = {
    [](Channel& channel) noexcept {
      channel.count_event();
      poll(channel);
    },
    poll,
    [](Channel& channel) noexcept { channel.fail("asynchronous error of the queue pair"); },
    [](Channel& channel) noexcept { channel.connection().on_last_receive(); },
};

Listener::Listener(const Settings& settings, TargetPorts& ports, EventLoop& loop)
    : settings_(settings),
      ports_(ports),
      loop_(loop),
      reap_([](void* self) noexcept { static_cast<Listener*>(self)->reap(); }, this) {
  std::vector<Portal> portals = settings.portals;
  if (portals.empty()) portals.push_back({});
  for (const Portal& portal : portals) add_portal(portal);
}

// Channels go first, then ids, then the event channel; devices last.
Listener::~Listener() {
  for (const auto& connection : connections_) connection->shut_down();
  connections_.clear();
  portals_.clear();
  watch_.reset();
  channel_.reset();
}

bool Listener::add_portal(const Portal& portal) {
  const std::uint16_t port = portal.port ? portal.port : settings_.rdma_cm_port;
  std::vector<Portal> wanted;
  if (portal.address.empty()) {
    wanted = {{any_ipv4, port}, {any_ipv6, port}, {infiniband_portal, port}};
  } else {
    wanted = {{portal.address, port}};
  }
  bool added = false;
  for (const Portal& one : wanted) {
    const bool known =
        std::ranges::any_of(portals_, [&](const auto& p) { return p.portal == one; });
    if (known) continue;
    portals_.push_back({one, nullptr, portal.address.empty(), {}});
    added = true;
  }
  if (added) activate();
  return added;
}

bool Listener::remove_portal(const Portal& portal) {
  const std::uint16_t port = portal.port ? portal.port : settings_.rdma_cm_port;
  return std::erase_if(portals_, [&](const auto& p) {
           return p.portal.port == port &&
                  (p.portal.address == portal.address || (portal.address.empty() && p.optional));
         }) != 0;
}

void Listener::on_tick() noexcept {
  watch_devices();
  for (const auto& connection : connections_) connection->on_tick();
  if (++ticks_ % ticks_per_second != 0) return;
  const unsigned unlogged = refusals_ - std::min(refusals_, refusals_logged_per_s);
  if (unlogged != 0) log_error("login refused: %u more in this second", unlogged);
  refusals_ = 0;
  try {
    activate();
  } catch (const std::exception& error) {
    log_error("listening: %s", error.what());
  }
}

void Listener::finish_closing() noexcept {
  for (const auto& connection : connections_) connection->finish_closing();
}

// An address is worth an add_target line if the CM can bind to it, which needs a device behind it.
std::vector<Listener::Access> Listener::reachable() {
  std::vector<Access> found;
  if (!channel_) return found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner{list, freeifaddrs};
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr != nullptr) add_reachable(*entry, found);
  }
  const auto by_gid = [](const ListeningPortal& portal) {
    return portal.id && portal.portal.address == infiniband_portal;
  };
  if (std::ranges::none_of(portals_, by_gid)) return found;
  for (const Path& path : infiniband_paths()) {
    for (const ListeningPortal& portal : portals_) {
      if (by_gid(portal)) found.push_back({portal.portal, path});
    }
  }
  return found;
}

void Listener::add_reachable(const ifaddrs& entry, std::vector<Access>& found) {
  const int family = entry.ifa_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return;
  const auto path = path_to(*entry.ifa_addr);
  if (!path) return;
  sockaddr_storage address{};
  std::memcpy(&address, entry.ifa_addr,
              family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  const std::string text = to_string(address);
  for (const ListeningPortal& portal : portals_) {
    const bool any = portal.portal.address == (family == AF_INET ? any_ipv4 : any_ipv6);
    if (portal.id && (any || portal.portal.address == text)) {
      found.push_back({{text, portal.portal.port}, *path});
    }
  }
}

std::optional<Path> Listener::path_to(const sockaddr& address) {
  rdma_cm_id* raw = nullptr;
  if (rdma_create_id(channel_.get(), &raw, nullptr, RDMA_PS_TCP) != 0) return std::nullopt;
  const verbs::CmId id{raw};
  sockaddr_storage any_port{};
  std::memcpy(&any_port, &address,
              address.sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  if (rdma_bind_addr(raw, reinterpret_cast<sockaddr*>(&any_port)) != 0) return std::nullopt;
  if (raw->verbs == nullptr) return std::nullopt;
  device_watch_.saw(*raw->verbs);
  return path_of(*raw);
}

// Opens what is not open yet.
void Listener::activate() {
  if (!channel_) {
    channel_.reset(rdma_create_event_channel());
    if (!channel_) {
      report(errno == ENODEV ? "there is no RDMA device (yet)"
                             : std::string("rdma_create_event_channel: ") + strerror(errno));
      return;
    }
    try {
      set_nonblocking(channel_->fd);
      watch_.emplace(channel_->fd, on_readable, this);
    } catch (const std::exception& error) {
      report(error.what());
      channel_.reset();
      return;
    }
    problem_.clear();
  }
  for (ListeningPortal& portal : portals_) {
    if (portal.id) continue;
    const std::string before = std::exchange(portal.problem, {});
    try {
      listen(portal);
      log_notice("listening on %s", with_port(portal.portal.address, portal.portal.port).c_str());
    } catch (const std::exception& error) {
      portal.problem = error.what();
      if (portal.problem != before && !portal.optional) {
        log_error("portal %s: %s; tried again every second",
                  with_port(portal.portal.address, portal.portal.port).c_str(), error.what());
      }
    }
  }
}

// Logged when it is new, since it is found again every second.
void Listener::report(const std::string& problem) {
  if (problem != problem_)
    log_notice("not listening: %s; tried again every second", problem.c_str());
  problem_ = problem;
}

void Listener::listen(ListeningPortal& portal) {
  sockaddr_storage address = resolve(portal.portal);
  rdma_cm_id* raw = nullptr;
  const auto space = address.ss_family == AF_IB ? RDMA_PS_IB : RDMA_PS_TCP;
  verbs::require(rdma_create_id(channel_.get(), &raw, nullptr, space), "rdma_create_id");
  verbs::CmId id{raw};
  int on = 1;
  (void)rdma_set_option(raw, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof on);
  if (address.ss_family == AF_INET6) {
    verbs::require(rdma_set_option(raw, RDMA_OPTION_ID, RDMA_OPTION_ID_AFONLY, &on, sizeof on),
                   "rdma_set_option");
  }
  verbs::require(rdma_bind_addr(raw, reinterpret_cast<sockaddr*>(&address)), "rdma_bind_addr");
  if (raw->verbs != nullptr) device_watch_.saw(*raw->verbs);
  verbs::require(rdma_listen(raw, listen_backlog), "rdma_listen");
  portal.id = std::move(id);
}

void Listener::on_readable(void* self) noexcept {
  auto& listener = *static_cast<Listener*>(self);
  rdma_cm_event* raw = nullptr;
  for (int i = 0; i < cm_event_budget; ++i) {
    if (rdma_get_cm_event(listener.channel_.get(), &raw) != 0) return;
    // Acknowledged before anything is done about it: an id whose events are not cannot be
    // destroyed.
    CmEvent event{raw->event, raw->id, raw->listen_id, raw->status, raw->param.conn, {}, 0};
    const auto* data = static_cast<const std::uint8_t*>(raw->param.conn.private_data);
    if (raw->event == RDMA_CM_EVENT_CONNECT_REQUEST && data != nullptr) {
      event.private_bytes = raw->param.conn.private_data_len;
      std::memcpy(event.private_data.data(), data, event.private_bytes);
    }
    rdma_ack_cm_event(raw);
    try {
      listener.handle(event);
    } catch (const std::exception& error) {
      log_error("%s: %s", rdma_event_str(event.type), error.what());
    }
  }
}

void Listener::handle(CmEvent& event) {
  if (event.type == RDMA_CM_EVENT_CONNECT_REQUEST) return on_connect_request(event);
  if (event.type == RDMA_CM_EVENT_DEVICE_REMOVAL) return on_device_removal(*event.id);
  auto* connection = static_cast<Connection*>(event.id->context);
  if (connection == nullptr) return;  // a listening id
  trace(Trace::channel, "%s: %s, status %d", connection->peer().c_str(), rdma_event_str(event.type),
        event.status);
  switch (event.type) {
    case RDMA_CM_EVENT_ESTABLISHED: return connection->on_established();
    case RDMA_CM_EVENT_DISCONNECTED:
      return connection->on_disconnected("the initiator disconnected");
    case RDMA_CM_EVENT_TIMEWAIT_EXIT:
      return connection->on_disconnected("the connection has ended");
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
      return connection->on_disconnected("the initiator gave up its login");
    default: return;
  }
}

void Listener::on_connect_request(CmEvent& event) {
  verbs::CmId owned{event.id};
  event.id->context = nullptr;  // inherited from the listening id
  const Path path = path_of(*event.id);
  InitiatorIdentity initiator{{}, path.peer, path.peer_gid};
  LoginRequest request;
  const auto fault = parse_login({event.private_data.data(), event.private_bytes},
                                 path.by_gid() ? LoginForm::ib_cm : LoginForm::rdma_cm, request);
  trace(Trace::login,
        "login request of %s: IU %u bytes, formats 0x%04x, action %u, immediate %d, READs %u",
        to_string(request.initiator_port).c_str(), request.max_iu_bytes, request.required_formats,
        static_cast<unsigned>(request.action), request.immediate ? request.immediate_offset : -1,
        event.param.initiator_depth);
  initiator.port_id = request.initiator_port;
  if (fault) return refuse(std::move(owned), request, initiator, fault->reason, fault->text);
  if (const char* const why = why_wait(path.peer)) {
    return refuse(std::move(owned), request, initiator,
                  wire::LoginRejReason::insufficient_resources, why);
  }
  try {
    device_watch_.saw(*event.id->verbs);
    ports_.sync();
    accept_rev10(request, path, ports_, settings_);
    initiator.port_id = request.initiator_port;
    const LoginVerdict verdict = judge_login(request, initiator, path, ports_, settings_);
    if (verdict.port == nullptr) {
      return refuse(std::move(owned), request, initiator, verdict.reason, verdict.why.c_str());
    }
    // InfiniBand's CM adopts what we answer; iWARP holds each side to what it has offered.
    if (event.param.initiator_depth == 0 &&
        event.id->verbs->device->transport_type == IBV_TRANSPORT_IWARP) {
      return refuse(std::move(owned), request, initiator, wire::LoginRejReason::unspecified,
                    "it lets us have no RDMA READ outstanding: writes would be impossible");
    }
    log_in(owned, event, request, initiator, verdict);
  } catch (const std::exception& error) {
    refuse(std::move(owned), request, initiator, wire::LoginRejReason::insufficient_resources,
           error.what());
  }
}

const char* Listener::why_wait(const sockaddr_storage& peer) const noexcept {
  const auto address = bytes_of(peer);
  std::size_t all = 0;
  std::size_t own = 0;
  for (const auto& connection : connections_) {
    if (!connection->connecting()) continue;
    ++all;
    if (bytes_of(connection->path().peer) == address) ++own;
  }
  if (all >= settings_.logins_max) return "logins_max are under way";
  if (own < settings_.logins_max - all) return nullptr;
  return "its address has as many under way as logins_max leaves to others";
}

ChannelSizes Listener::sizes_for(const CmEvent& event, const LoginRequest& request,
                                 const Device& device) const {
  ChannelSizes sizes;
  sizes.credits = settings_.credits;
  sizes.request_bytes = settings_.srp_max_req_size;
  sizes.response_bytes = settings_.srp_max_rsp_size;
  sizes.send_wrs = settings_.srpt_sq_size;
  // Of an initiator that offers no READ at all one is asked for: Linux's CM adopts what we answer.
  sizes.read_depth = std::max<std::uint8_t>(
      1, std::min(event.param.initiator_depth, device.limits().read_depth_max));
  sizes.rdma_bytes_max = settings_.srp_max_rdma_size;
  sizes.immediate_offset = grants_immediate(request, settings_) ? request.immediate_offset : 0;
  sizes.rnr_timer = static_cast<std::uint8_t>(settings_.rnr_timer);
  sizes.keepalive_s = settings_.keepalive_s;
  sizes.t_logout = settings_.t_logout;
  sizes.solicited_logout = request.solicited_logout;
  sizes.solicited_credits = request.solicited_credits;
  return sizes;
}

// Everything that can fail comes before the old session is touched. Throws
// with id still owned by the caller until the connection has it; then the connection refuses.
void Listener::log_in(verbs::CmId& id, const CmEvent& event, const LoginRequest& request,
                      const InitiatorIdentity& initiator, const LoginVerdict& verdict) {
  TargetPort& port = *verdict.port;
  Device& device = device_of(*id);
  const ChannelSizes sizes = sizes_for(event, request, device);
  auto made =
      std::make_unique<Connection>(*id, device, sizes, settings_.login_timeout_s, loop_, reap_);
  Connection& connection = *connections_.emplace_back(std::move(made));
  connection.own(std::move(id));

  const bool multi = request.action == wire::MultiChannelAction::multi;
  Session* const old = verdict.session;
  auto result = wire::MultiChannelResult::no_channel;
  if (old != nullptr) {
    result = multi ? wire::MultiChannelResult::maintained : wire::MultiChannelResult::terminated;
  }
  Session* session = multi ? old : nullptr;
  try {
    if (session == nullptr) session = &ports_.add_session(port, initiator);
    const LoginAnswer answer{sizes.credits, sizes.request_bytes, sizes.response_bytes,
                             result,        request.solicited,   sizes.immediate_offset != 0};
    connection.accept(*session, build_login_rsp(request.tag, answer));
  } catch (const std::exception& error) {
    log_error("login of %s from %s to target %d failed: %s", to_string(initiator.port_id).c_str(),
              connection.peer().c_str(), port.tid(), error.what());
    return connection.refuse(
        build_login_rej(request.tag, wire::LoginRejReason::insufficient_resources));
  }
  if (session != old) port.inherit_reservations(*session);
  if (old != nullptr && !multi) {
    old->dismiss("replaced by a new login of the same initiator port",
                 wire::LogoutReason::multi_channel_action);
  }
  log_notice("login of %s from %s at %s (%s) to target %d %s: session %llu, channel %zu, QP 0x%x",
             session->initiator_name().c_str(), connection.peer().c_str(),
             to_string(connection.path().local).c_str(), device.name().c_str(), port.tid(),
             port.name().c_str(), static_cast<unsigned long long>(session->nexus().id()),
             session->channels().size(), connection.channel().qp_num());
}

void Listener::refuse(verbs::CmId id, const LoginRequest& request,
                      const InitiatorIdentity& initiator, wire::LoginRejReason reason,
                      const char* why) {
  const wire::LoginRej rej = build_login_rej(request.tag, reason);
  if (++refusals_ <= refusals_logged_per_s) {
    log_error("login refused: %s from %s, reason 0x%08x: %s", to_string(initiator.port_id).c_str(),
              to_string(initiator.address).c_str(), static_cast<unsigned>(reason), why);
  }
  if (rdma_reject(id.get(), &rej, sizeof rej) != 0) log_debug("rdma_reject: %s", strerror(errno));
}

Device& Listener::device_of(rdma_cm_id& id) {
  for (const auto& device : devices_) {
    if (device->is(id.verbs->device) && !device->removed()) return *device;
  }
  devices_.push_back(
      std::make_unique<Device>(id.verbs->device, loop_, settings_, device_callbacks));
  return *devices_.back();
}

void Listener::on_device_removal(rdma_cm_id& id) noexcept {
  for (const auto& device : devices_) {
    if (id.verbs != nullptr && device->is(id.verbs->device)) device->mark_removed();
  }
  if (auto* connection = static_cast<Connection*>(id.context)) {
    connection->on_disconnected("the RDMA device was removed");
    return;
  }
  for (ListeningPortal& portal : portals_) {
    if (portal.id.get() != &id) continue;
    portal.id.reset();
    portal.problem = "its RDMA device was removed";
  }
}

void Listener::watch_devices() noexcept {
  for (const auto& device : devices_) {
    if (!device->still_there()) device->mark_removed();
  }
  remove_dead_devices();
  device_watch_.release_removed();
}

void Listener::remove_dead_devices() noexcept {
  for (const auto& connection : connections_) {
    if (connection->channel().device().removed()) {
      connection->on_disconnected("the RDMA device was removed");
    }
  }
  std::erase_if(devices_, [](const auto& device) {
    if (!device->removed() || device->channels() != 0) return false;
    log_notice("device %s: removed", device->name().c_str());
    return true;
  });
}

void Listener::reap() noexcept {
  std::erase_if(connections_, [](const auto& connection) { return connection->done(); });
}

}  // namespace srp
