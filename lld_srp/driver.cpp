#include "lld_srp/driver.h"

#include <cstdlib>

#include "plugin_api/log.h"

namespace srp {

Driver::Driver()
    : config_file_(config_path()),
      config_(load_config(config_file_, std::getenv("TGT_SRP_CONF") != nullptr)),
      ports_(config_.settings, loop_),
      ticker_([](void* self) noexcept { static_cast<Driver*>(self)->on_tick(); }, this) {
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

void Driver::on_tick() noexcept {
  ports_.on_tick();
  if (listener_) listener_->on_tick();
}

}  // namespace srp
