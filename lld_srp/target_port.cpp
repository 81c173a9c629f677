#include "lld_srp/target_port.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "plugin_api/log.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

// FNV-1a: stable over releases and machines, which std::hash is not.
std::uint64_t stable_hash(const std::string& text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return hash;
}

std::uint64_t load(const PortId& id, std::size_t at) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | id[at + i];
  return value;
}

void store(PortId& id, std::size_t at, std::uint64_t value) noexcept {
  for (std::size_t i = 8; i-- > 0; value >>= 8) id[at + i] = static_cast<std::uint8_t>(value);
}

}  // namespace

std::string hex64(std::uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

std::uint64_t host_guid() {
  std::string host;
  std::getline(std::ifstream("/etc/machine-id"), host);
  if (host.empty()) {
    char name[256] = "";
    (void)gethostname(name, sizeof name - 1);
    host = name;
    log_notice("no /etc/machine-id: ioc_guid is made from the host name %s", name);
  }
  // EUI-64: locally administered, not a group.
  constexpr std::uint64_t local = std::uint64_t{0x02} << 56;
  constexpr std::uint64_t group = std::uint64_t{0x01} << 56;
  return (stable_hash("tgt-srp " + host) | local) & ~group;
}

TargetPort::TargetPort(int tid, std::string name, const PortId& id)
    : tid_(tid), name_(std::move(name)), id_(id) {}

std::uint64_t TargetPort::id_ext() const noexcept { return load(id_, 0); }
std::uint64_t TargetPort::ioc_guid() const noexcept { return load(id_, 8); }

Session* TargetPort::live_session(const PortId& initiator) const noexcept {
  for (const auto& session : sessions_) {
    if (session->initiator().port_id == initiator && session->live()) return session.get();
  }
  return nullptr;
}

Session* TargetPort::find_session(std::uint64_t nexus_id) const noexcept {
  for (const auto& session : sessions_) {
    if (session->nexus().id() == nexus_id) return session.get();
  }
  return nullptr;
}

Session& TargetPort::add_session(std::uint64_t nexus_id, const InitiatorIdentity& initiator,
                                 EventLoop& loop, Job& idle) {
  auto session = std::make_unique<Session>(tid_, nexus_id, initiator, unit_tasks_, loop, idle);
  for (const auto& old : sessions_) {
    if (old->initiator().port_id == initiator.port_id) session->fence_behind(*old);
  }
  sessions_.push_back(std::move(session));
  return *sessions_.back();
}

void TargetPort::close_sessions(const char* why) noexcept {
  for (const auto& session : sessions_) session->close(why);
}

void TargetPort::reap() noexcept {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    if (!(*it)->done()) {
      ++it;
      continue;
    }
    const auto gone = std::move(*it);
    it = sessions_.erase(it);
    for (const auto& session : sessions_) session->predecessor_gone(*gone);
  }
}

// The task may be over by now, because its time was; the unit is free all the same.
bool TargetPort::on_managed(std::uint64_t task_id, int result) noexcept {
  if (!unit_tasks_.end(task_id)) return false;
  for (const auto& session : sessions_) {
    (void)session->on_managed(task_id, result);
    session->reconsider_tasks();
  }
  return true;
}

void TargetPort::on_tick() noexcept {
  for (const auto& session : sessions_) session->on_tick();
}

TargetPorts::TargetPorts(const Settings& settings, EventLoop& loop)
    : settings_(settings),
      loop_(loop),
      ioc_guid_(settings.srpt_service_guid ? *settings.srpt_service_guid : host_guid()),
      reap_([](void* self) noexcept { static_cast<TargetPorts*>(self)->reap(); }, this) {}

PortId TargetPorts::identifier_of(const std::string& name) const {
  std::uint64_t id_ext = stable_hash(name);
  std::uint64_t ioc_guid = ioc_guid_;
  for (const auto& target : settings_.targets) {
    if (target.name != name) continue;
    if (target.id_ext) id_ext = *target.id_ext;
    if (target.ioc_guid) ioc_guid = *target.ioc_guid;
  }
  PortId id{};
  store(id, 0, id_ext);
  store(id, 8, ioc_guid);
  return id;
}

void TargetPorts::add(const tgt::target& target) {
  remove(target.tid);  // a target of that number that tgtd dropped behind our back
  const PortId id = identifier_of(target.name);
  if (const TargetPort* other = find(id)) {
    log_error(
        "target %d %s: port identifier %s is that of target %d %s: it cannot be logged in to; "
        "give it an id_ext of its own in srp.conf",
        target.tid, target.name, to_string(id).c_str(), other->tid(), other->name().c_str());
  }
  ports_.push_back(std::make_unique<TargetPort>(target.tid, target.name, id));
}

void TargetPorts::remove(int tid) noexcept {
  TargetPort* port = find(tid);
  if (port == nullptr) return;
  port->retire();
  port->close_sessions("the target was deleted");
  loop_.defer(reap_);
}

void TargetPorts::sync() noexcept {
  for (const auto& port : ports_) {
    if (port->retired()) continue;
    const tgt::target* target = tgt::find_target(port->tid());
    if (target == nullptr || port->name() != target->name) remove(port->tid());
  }
}

void TargetPorts::on_tick() noexcept {
  sync();
  for (const auto& port : ports_) {
    port->on_tick();
    // The service is being stopped: tgt-admin cannot delete a target that has sessions.
    if (!port->retired() && !tgt::is_system_available() &&
        tgt::tgt_get_target_state(port->tid()) == tgt::SCSI_TARGET_OFFLINE) {
      port->close_sessions("the target is offline");
    }
  }
}

TargetPort* TargetPorts::find(int tid) const noexcept {
  for (const auto& port : ports_) {
    if (port->tid() == tid && !port->retired()) return port.get();
  }
  return nullptr;
}

TargetPort* TargetPorts::find(const PortId& id) const noexcept {
  for (const auto& port : ports_) {
    if (port->id() == id && !port->retired()) return port.get();
  }
  return nullptr;
}

std::size_t TargetPorts::session_count() const noexcept {
  std::size_t count = 0;
  for (const auto& port : ports_) count += port->sessions().size();
  return count;
}

Session& TargetPorts::add_session(TargetPort& port, const InitiatorIdentity& initiator) {
  return port.add_session(++last_nexus_id_, initiator, loop_, reap_);
}

bool TargetPorts::on_managed(std::uint64_t task_id, int result) noexcept {
  return std::ranges::any_of(ports_,
                             [&](const auto& port) { return port->on_managed(task_id, result); });
}

void TargetPorts::reap() noexcept {
  for (const auto& port : ports_) port->reap();
  std::erase_if(ports_,
                [](const auto& port) { return port->retired() && port->sessions().empty(); });
}

}  // namespace srp
