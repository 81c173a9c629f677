#include "lld_srp/target_port.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "lld_srp/hash.h"
#include "lld_srp/limits.h"
#include "plugin_api/log.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

std::uint64_t load(const PortId& id, std::size_t at) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | id[at + i];
  return value;
}

void store(PortId& id, std::size_t at, std::uint64_t value) noexcept {
  for (std::size_t i = 8; i-- > 0; value >>= 8) id[at + i] = static_cast<std::uint8_t>(value);
}

PortId port_id(std::uint64_t id_ext, std::uint64_t ioc_guid) noexcept {
  PortId id{};
  store(id, 0, id_ext);
  store(id, 8, ioc_guid);
  return id;
}

}  // namespace

std::uint64_t id_ext(const PortId& id) noexcept { return load(id, 0); }
std::uint64_t ioc_guid(const PortId& id) noexcept { return load(id, 8); }

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

const std::string* SeenTargets::find(const PortId& port, const PortId& initiator) const noexcept {
  for (const Seen& seen : seen_) {
    if (seen.port == port && seen.initiator == initiator) return &seen.target;
  }
  return nullptr;
}

void SeenTargets::note(const PortId& port, const PortId& initiator, const std::string& target,
                       std::uint32_t seconds) {
  const std::uint64_t ticks = std::uint64_t{seconds} * ticks_per_second + 1;
  for (Seen& seen : seen_) {
    if (seen.port != port || seen.initiator != initiator) continue;
    if (seen.target != target) seen.target = target;
    seen.ticks_left = ticks;
    return;
  }
  if (seen_.size() >= seen_targets_max) seen_.erase(seen_.begin());  // the oldest
  seen_.push_back({port, initiator, target, ticks});
}

void SeenTargets::on_tick() noexcept {
  std::erase_if(seen_, [](Seen& seen) { return --seen.ticks_left == 0; });
}

TargetPort::TargetPort(int tid, std::string name, const PortIdentity& identity)
    : tid_(tid), name_(std::move(name)), identity_(identity) {}

std::optional<PortId> TargetPort::id_over(const Path& path) const {
  if (identity_.port_name && !identity_.port_name->names(path)) return std::nullopt;
  return identity_.by_node_guid ? port_id(path.node_guid, path.node_guid) : identity_.id;
}

// Partitions are compared without the bit that tells full members from limited ones.
bool TargetPort::in_partition(const Path& path) const noexcept {
  constexpr unsigned partition = 0x7fff;
  const auto is_path_s = [&path](std::uint16_t pkey) {
    return (pkey & partition) == (path.pkey & partition);
  };
  return identity_.pkeys.empty() || std::ranges::any_of(identity_.pkeys, is_path_s);
}

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

void TargetPort::inherit_reservations(Session& session) noexcept {
  tgt::target* target = tgt::find_target(tid_);
  if (target == nullptr || retired_) return;
  const PortId& initiator = session.initiator().port_id;
  for (const auto& earlier : sessions_) {
    if (earlier.get() != &session && earlier->initiator().port_id == initiator) {
      tgt::move_registrations(*target, earlier->stamp(), session.stamp());
    }
  }
  std::erase_if(departed_, [&](const Departed& departed) {
    if (departed.initiator != initiator) return false;
    tgt::move_registrations(*target, departed.nexus, session.stamp());
    return true;
  });
}

const PortId* TargetPort::initiator_of(std::uint64_t nexus_id) const noexcept {
  if (const Session* session = find_session(nexus_id)) return &session->initiator().port_id;
  for (const Departed& departed : departed_) {
    if (departed.nexus.id == nexus_id) return &departed.initiator;
  }
  return nullptr;
}

void TargetPort::close_sessions(const char* why) noexcept {
  for (const auto& session : sessions_) session->close(why);
}

void TargetPort::dismiss_sessions(const char* why) noexcept {
  for (const auto& session : sessions_) {
    if (!session->draining()) session->dismiss(why, wire::LogoutReason::none);
  }
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
    remember(*gone);
  }
}

// As long as it is registered somewhere; a registration may end at any time, without a word.
void TargetPort::remember(const Session& gone) noexcept try {
  tgt::target* target = tgt::find_target(tid_);
  if (target == nullptr || retired_) return departed_.clear();
  departed_.push_back({gone.initiator().port_id, gone.stamp()});
  std::erase_if(departed_, [target](const Departed& departed) {
    return !tgt::has_registrations(*target, departed.nexus);
  });
} catch (const std::bad_alloc&) {
  log_error("target %d: no memory to keep the reservations of %s", tid_,
            gone.initiator_name().c_str());
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

PortIdentity TargetPorts::identity_of(const std::string& name) const {
  PortIdentity identity;
  if (settings_.srpt_port_names) identity.port_name = PortName::parse(name);
  std::optional<std::uint64_t> id_ext;
  std::optional<std::uint64_t> ioc_guid;
  for (const auto& target : settings_.targets) {
    if (target.name != name) continue;
    id_ext = target.id_ext;
    ioc_guid = target.ioc_guid;
    identity.pkeys = target.pkeys;
  }
  identity.by_node_guid =
      identity.port_name && !settings_.srpt_service_guid && !id_ext && !ioc_guid;
  if (!id_ext) id_ext = identity.port_name ? ioc_guid_ : stable_hash(name);
  identity.id = port_id(*id_ext, ioc_guid.value_or(ioc_guid_));
  return identity;
}

void TargetPorts::add(const tgt::target& target) {
  remove(target.tid);  // a target of that number that tgtd dropped behind our back
  const PortIdentity identity = identity_of(target.name);
  for (const auto& other : ports_) {
    if (identity.port_name || other->retired() || other->id() != identity.id) continue;
    log_notice(
        "target %d %s shares port identifier %s with target %d %s: an initiator sees the one "
        "whose ACL names it most exactly",
        target.tid, target.name, to_string(identity.id).c_str(), other->tid(),
        other->name().c_str());
    break;
  }
  ports_.push_back(std::make_unique<TargetPort>(target.tid, target.name, identity));
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
  for (const auto& port : ports_) port->on_tick();
  seen_.on_tick();
  if (++ticks_ % ticks_per_second == 0) note_seen();
}

// Sessions end in many ways; those that live are noted once a second.
void TargetPorts::note_seen() noexcept try {
  for (const auto& port : ports_) {
    for (const auto& session : port->sessions()) {
      if (session->draining()) continue;
      seen_.note(port->id(), session->initiator().port_id, port->name(), settings_.regroup_s);
    }
  }
} catch (const std::bad_alloc&) {
  log_error("no memory to note which targets initiators see");
}

void TargetPorts::close_offline() noexcept {
  if (tgt::is_system_available() != 0) return;
  for (const auto& port : ports_) {
    if (!port->retired() && tgt::tgt_get_target_state(port->tid()) == tgt::SCSI_TARGET_OFFLINE) {
      port->dismiss_sessions("the target is offline");
    }
  }
}

TargetPort* TargetPorts::find(int tid) const noexcept {
  for (const auto& port : ports_) {
    if (port->tid() == tid && !port->retired()) return port.get();
  }
  return nullptr;
}

std::vector<TargetPort*> TargetPorts::find(const PortId& id, const Path& path) const {
  std::vector<TargetPort*> found;
  for (const auto& port : ports_) {
    if (!port->retired() && port->id_over(path) == id) found.push_back(port.get());
  }
  std::ranges::sort(found, {}, &TargetPort::tid);
  return found;
}

std::size_t TargetPorts::session_count() const noexcept {
  std::size_t count = 0;
  for (const auto& port : ports_) count += port->sessions().size();
  return count;
}

Session& TargetPorts::add_session(TargetPort& port, const InitiatorIdentity& initiator) {
  seen_.note(port.id(), initiator.port_id, port.name(), settings_.regroup_s);
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
