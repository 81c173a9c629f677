// One life of the driver, from tgtd's init to its exit: everything there is, in order of
// dependence.
#pragma once

#include <optional>
#include <string>

#include "lld_srp/config.h"
#include "lld_srp/listener.h"
#include "lld_srp/target_port.h"
#include "plugin_api/default_driver.h"
#include "plugin_api/event_loop.h"

namespace srp {

class Driver {
 public:
  // Reads the configuration. A broken one leaves the listener out; a missing RDMA device does not.
  Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  [[nodiscard]] const ConfigResult& config() const noexcept { return config_; }
  [[nodiscard]] const std::string& config_file() const noexcept { return config_file_; }
  [[nodiscard]] TargetPorts& ports() noexcept { return ports_; }
  // Logins from now on have it. The value must be within its range and suit the others.
  void change(const ScalarSetting& setting, std::uint32_t value) noexcept {
    setting.assign(config_.settings, value);
  }
  // Null where the configuration is broken.
  [[nodiscard]] Listener* listener() noexcept { return listener_ ? &*listener_ : nullptr; }

  // tgtd destroys the target when this returns: its sessions end now.
  void remove_target(int tid) noexcept;
  // Ends one session now, as far as tgtd has none of its commands. A goodbye goes before, if it is
  // wanted and neither tgt-admin is waiting nor the session is ending already.
  void remove_session(Session& session, const char* why) noexcept;
  // Ends all sessions, and says goodbye where that is wanted.
  void dismiss_everybody(const char* why) noexcept;

 private:
  void on_tick() noexcept;
  void watch_offline() noexcept;

  static const tgt::DefaultDriver::Callbacks default_driver_callbacks;

  std::string config_file_;
  ConfigResult config_;
  EventLoop loop_;
  TargetPorts ports_;
  std::optional<Listener> listener_;
  Ticker ticker_;
  // While tgtd is offline: service scripts take targets offline, and delete them a moment later.
  std::optional<Ticker> offline_ticker_;
  tgt::DefaultDriver default_driver_;
};

}  // namespace srp
