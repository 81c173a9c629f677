// SRP target ports: one for each of our tgtd targets, with its identifier and its sessions.
//
// tgtd's target_list is the truth. tgtd tells us of a new target, but not of the end of one that is
// deleted through another driver's name, so the ports are brought in line with the list at every
// tick and before every decision.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lld_srp/config.h"
#include "lld_srp/port_name.h"
#include "lld_srp/session.h"
#include "plugin_api/reservations.h"
#include "plugin_api/tgt_abi.h"

namespace srp {

// "0x" and 16 hex digits without the prefix: the form of add_target's id_ext and ioc_guid.
std::string hex64(std::uint64_t value);

// Identifier of this host for ioc_guid: from /etc/machine-id, else from the host's name; the same
// after a restart, locally administered in the sense of EUI-64.
std::uint64_t host_guid();

// The halves of a target port identifier.
std::uint64_t id_ext(const PortId& id) noexcept;
std::uint64_t ioc_guid(const PortId& id) noexcept;

// Which of the targets that share a port an initiator has had, for as long as it may take their
// units for those of another.
class SeenTargets {
 public:
  // The name of the target; null: it has had none of this port, or long ago.
  [[nodiscard]] const std::string* find(const PortId& port, const PortId& initiator) const noexcept;
  // It has had this one until now; seconds: for how long that matters.
  void note(const PortId& port, const PortId& initiator, const std::string& target,
            std::uint32_t seconds);
  void on_tick() noexcept;

 private:
  struct Seen {
    PortId port;
    PortId initiator;
    std::string target;
    std::uint64_t ticks_left;
  };
  std::vector<Seen> seen_;
};

// What a target is called on the fabric.
struct PortIdentity {
  PortId id{};
  std::optional<PortName> port_name;  // set: served by that port of a device only
  // The node GUID of the device, twice, stands for id, as with ib_srpt.
  bool by_node_guid = false;
  std::vector<std::uint16_t> pkeys;  // partitions it may be reached in; empty: all
};

class TargetPort {
 public:
  TargetPort(int tid, std::string name, const PortIdentity& identity);
  TargetPort(const TargetPort&) = delete;
  TargetPort& operator=(const TargetPort&) = delete;

  [[nodiscard]] int tid() const noexcept { return tid_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const PortId& id() const noexcept { return identity_.id; }
  // Is it served by one port of a device only, which it is named by?
  [[nodiscard]] bool named_by_port() const noexcept { return identity_.port_name.has_value(); }
  // The node GUID of the device is its identifier, twice; id() is none then.
  [[nodiscard]] bool by_node_guid() const noexcept { return identity_.by_node_guid; }
  // Its identifier for initiators that come over path; nothing where it does not serve that.
  [[nodiscard]] std::optional<PortId> id_over(const Path& path) const;
  // Is path in one of the partitions that it may be reached in? iWARP knows none.
  [[nodiscard]] bool in_partition(const Path& path) const noexcept;
  [[nodiscard]] const std::vector<std::unique_ptr<Session>>& sessions() const noexcept {
    return sessions_;
  }

  // The initiator's session that has a working channel, if any.
  [[nodiscard]] Session* live_session(const PortId& initiator) const noexcept;
  [[nodiscard]] Session* find_session(std::uint64_t nexus_id) const noexcept;
  // A new session, fenced behind those of the same initiator that drain. Throws std::system_error.
  Session& add_session(std::uint64_t nexus_id, const InitiatorIdentity& initiator, EventLoop& loop,
                       Job& idle);
  // The persistent reservations that earlier nexuses of its initiator left are session's.
  void inherit_reservations(Session& session) noexcept;
  // Who this nexus is or was; null where nobody knows (any more).
  [[nodiscard]] const PortId* initiator_of(std::uint64_t nexus_id) const noexcept;
  void close_sessions(const char* why) noexcept;
  // The same with a goodbye, where that is wanted.
  void dismiss_sessions(const char* why) noexcept;
  // tgtd has done its part of a task; false: not one of this target's.
  bool on_managed(std::uint64_t task_id, int result) noexcept;
  // Destroys what is done.
  void reap() noexcept;
  void on_tick() noexcept;

  // tgtd has dropped the target: no login any more; the port stays until its sessions are done.
  void retire() noexcept { retired_ = true; }
  [[nodiscard]] bool retired() const noexcept { return retired_; }

 private:
  void remember(const Session& gone) noexcept;

  int tid_;
  std::string name_;
  PortIdentity identity_;
  tgt::UnitTasks unit_tasks_;
  std::vector<std::unique_ptr<Session>> sessions_;
  // Nexuses that have ended and still are registered.
  struct Departed {
    PortId initiator;
    tgt::NexusStamp nexus;
  };
  std::vector<Departed> departed_;
  bool retired_ = false;
};

class TargetPorts {
 public:
  TargetPorts(const Settings& settings, EventLoop& loop);
  TargetPorts(const TargetPorts&) = delete;
  TargetPorts& operator=(const TargetPorts&) = delete;

  // What a target of this name is or will be called on the fabric.
  [[nodiscard]] PortIdentity identity_of(const std::string& name) const;
  // Tells this host from others: the settings' service GUID, else host_guid().
  [[nodiscard]] std::uint64_t host() const noexcept { return ioc_guid_; }

  // tgtd has made a target.
  void add(const tgt::target& target);
  // tgtd is about to destroy it: sessions end now, as far as nothing is in flight.
  void remove(int tid) noexcept;
  // In line with tgtd's list.
  void sync() noexcept;
  void on_tick() noexcept;
  // The service is being stopped: tgt-admin cannot delete a target that has sessions, so those of
  // targets that it has taken offline are closed.
  void close_offline() noexcept;

  [[nodiscard]] TargetPort* find(int tid) const noexcept;
  // The targets that share this SRP target port identifier and are reached over path, by tid.
  [[nodiscard]] std::vector<TargetPort*> find(const PortId& id, const Path& path) const;
  [[nodiscard]] const std::vector<std::unique_ptr<TargetPort>>& all() const noexcept {
    return ports_;
  }
  [[nodiscard]] std::size_t session_count() const noexcept;

  // Throws std::system_error.
  Session& add_session(TargetPort& port, const InitiatorIdentity& initiator);
  [[nodiscard]] const SeenTargets& seen() const noexcept { return seen_; }
  bool on_managed(std::uint64_t task_id, int result) noexcept;
  // The last references are gone: everything that is done goes.
  void reap() noexcept;

 private:
  void note_seen() noexcept;

  const Settings& settings_;
  EventLoop& loop_;
  std::uint64_t ioc_guid_;
  std::uint64_t last_nexus_id_ = 0;
  unsigned ticks_ = 0;
  std::vector<std::unique_ptr<TargetPort>> ports_;
  SeenTargets seen_;
  Job reap_;
};

}  // namespace srp
