// The RDMA/CM side: portals that listen, connection requests, devices that come and go.
//
// Owns the event channel, the devices in use and all connections. Everything that is missing (no
// RDMA device, an address that no device has) is tried again at every second, and its reason is
// kept for `tgtadm --mode portal --op show`.
#pragma once

#include <ifaddrs.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lld_srp/connection.h"
#include "lld_srp/device_watch.h"
#include "lld_srp/login.h"

namespace srp {

// One listening address and port.
struct ListeningPortal {
  Portal portal;  // address "0.0.0.0", "::" or "ib" for all of a family
  verbs::CmId id;
  bool optional = false;  // made for "all addresses": a host without that family is no error
  std::string problem;    // why it does not listen; empty if it does
};

class Listener {
 public:
  Listener(const Settings& settings, TargetPorts& ports, EventLoop& loop);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Listens on one more portal from now on; false: it is there already.
  bool add_portal(const Portal& portal);
  // Stops listening; connections stay. False: no such portal.
  bool remove_portal(const Portal& portal);

  void on_tick() noexcept;
  // Takes failed connections as far down as it goes now, instead of soon.
  void finish_closing() noexcept;
  // Where an initiator can log in.
  struct Access {
    Portal portal;  // a numeric address of this host, or "ib" where path is by_gid()
    Path path;      // the local end of what comes in there
  };
  [[nodiscard]] std::vector<Access> reachable();

  [[nodiscard]] const std::vector<ListeningPortal>& portals() const noexcept { return portals_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Device>>& devices() const noexcept {
    return devices_;
  }
  [[nodiscard]] const std::vector<std::unique_ptr<Connection>>& connections() const noexcept {
    return connections_;
  }
  // Why nothing at all listens; empty if the event channel is there.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  static const Device::Callbacks device_callbacks;

 private:
  // A copy of what a CM event says, taken before it is acknowledged.
  struct CmEvent;

  [[nodiscard]] std::optional<Path> path_to(const sockaddr& address);
  void add_reachable(const ifaddrs& entry, std::vector<Access>& found);
  void activate();
  void report(const std::string& problem);
  void listen(ListeningPortal& portal);
  static void on_readable(void* self) noexcept;
  void handle(CmEvent& event);
  void on_connect_request(CmEvent& event);
  [[nodiscard]] ChannelSizes sizes_for(const CmEvent& event, const LoginRequest& request,
                                       const Device& device) const;
  void log_in(verbs::CmId& id, const CmEvent& event, const LoginRequest& request,
              const InitiatorIdentity& initiator, const LoginVerdict& verdict);
  // Why a login from there has to wait until others are done; null if it need not. Of what others
  // leave an address gets about half, so that one that floods does not keep all others out.
  [[nodiscard]] const char* why_wait(const sockaddr_storage& peer) const noexcept;
  void refuse(verbs::CmId id, const LoginRequest& request, const InitiatorIdentity& initiator,
              wire::LoginRejReason reason, const char* why);
  void on_device_removal(rdma_cm_id& id) noexcept;
  Device& device_of(rdma_cm_id& id);
  void watch_devices() noexcept;
  void remove_dead_devices() noexcept;
  void reap() noexcept;

  const Settings& settings_;
  TargetPorts& ports_;
  EventLoop& loop_;
  Job reap_;
  std::string problem_;
  unsigned ticks_ = 0;
  unsigned refusals_ = 0;  // since the last second
  DeviceWatch device_watch_;
  std::vector<std::unique_ptr<Device>> devices_;
  verbs::EventChannel channel_;
  std::optional<FdWatch> watch_;
  std::vector<ListeningPortal> portals_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace srp
