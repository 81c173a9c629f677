#include "lld_srp/driver.h"

#include <cstdlib>

#include "plugin_api/log.h"

namespace srp {

namespace {

// The one that exists: requests without --lld come without a pointer to it.
Driver* running;

// Looks a second at the targets of a tgtd that is offline: tgt-admin needs longer to start.
constexpr int offline_looks_per_second = 50;

}  // namespace

const tgt::DefaultDriver::Callbacks Driver::default_driver_callbacks = {
    []() noexcept { return running->config_.settings.requests_without_lld; },
    []() noexcept { running->watch_offline(); }};

Driver::Driver()
    : config_file_(config_path()),
      config_(load_config(config_file_, std::getenv("TGT_SRP_CONF") != nullptr)),
      ports_(config_.settings, loop_),
      ticker_([](void* self) noexcept { static_cast<Driver*>(self)->on_tick(); }, this),
      default_driver_(default_driver_callbacks) {
  running = this;
  trace_flags = config_.settings.trace_flag;
  for (const auto& mistake : config_.mistakes) {
    log_error("%s: %s; %s", mistake.where.c_str(), mistake.what.c_str(), mistake.remedy.c_str());
  }
  if (config_.mistakes.empty()) {
    listener_.emplace(config_.settings, ports_, loop_);
    return;
  }
  log_error("not listening until the configuration is mended and tgtd is restarted");
}

void Driver::remove_target(int tid) noexcept {
  const TargetPort* port = ports_.find(tid);
  if (port == nullptr) return;  // another driver's target, or one that was dropped before
  ports_.remove(tid);
  if (listener_) listener_->finish_closing();
  ports_.reap();
}

void Driver::remove_session(Session& session, const char* why) noexcept {
  if (session.draining() || tgt::DefaultDriver::in_request()) {
    session.close(why);
  } else {
    session.dismiss(why, wire::LogoutReason::none);
  }
  if (listener_) listener_->finish_closing();
  ports_.reap();
}

void Driver::dismiss_everybody(const char* why) noexcept {
  for (const auto& port : ports_.all()) port->dismiss_sessions(why);
}

void Driver::watch_offline() noexcept {
  if (tgt::is_system_available() != 0) return offline_ticker_.reset();
  if (offline_ticker_) return;
  try {
    offline_ticker_.emplace(
        [](void* self) noexcept { static_cast<Driver*>(self)->ports_.close_offline(); }, this,
        offline_looks_per_second);
  } catch (const std::exception& error) {
    log_error("%s: offline targets are looked at less often", error.what());
  }
}

void Driver::on_tick() noexcept {
  ports_.on_tick();
  ports_.close_offline();
  watch_offline();
  if (listener_) listener_->on_tick();
}

}  // namespace srp
