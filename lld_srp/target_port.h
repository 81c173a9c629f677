// SRP target ports: one for each of our tgtd targets, with its identifier and its sessions.
//
// tgtd's target_list is the truth. tgtd tells us of a new target, but not of the end of one that is
// deleted through another driver's name, so the ports are brought in line with the list at every
// tick and before every decision.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lld_srp/config.h"
#include "lld_srp/session.h"
#include "plugin_api/tgt_abi.h"

namespace srp {

// "0x" and 16 hex digits without the prefix: the form of add_target's id_ext and ioc_guid.
std::string hex64(std::uint64_t value);

// Identifier of this host for ioc_guid: from /etc/machine-id, else from the host's name; the same
// after a restart, locally administered in the sense of EUI-64.
std::uint64_t host_guid();

class TargetPort {
 public:
  TargetPort(int tid, std::string name, const PortId& id);
  TargetPort(const TargetPort&) = delete;
  TargetPort& operator=(const TargetPort&) = delete;

  [[nodiscard]] int tid() const noexcept { return tid_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const PortId& id() const noexcept { return id_; }
  [[nodiscard]] std::uint64_t id_ext() const noexcept;
  [[nodiscard]] std::uint64_t ioc_guid() const noexcept;
  [[nodiscard]] const std::vector<std::unique_ptr<Session>>& sessions() const noexcept {
    return sessions_;
  }

  // The initiator's session that has a working channel, if any.
  [[nodiscard]] Session* live_session(const PortId& initiator) const noexcept;
  [[nodiscard]] Session* find_session(std::uint64_t nexus_id) const noexcept;
  // A new session, fenced behind those of the same initiator that drain. Throws std::system_error.
  Session& add_session(std::uint64_t nexus_id, const InitiatorIdentity& initiator, EventLoop& loop,
                       Job& idle);
  void close_sessions(const char* why) noexcept;
  // tgtd has done its part of a task; false: not one of this target's.
  bool on_managed(std::uint64_t task_id, int result) noexcept;
  // Destroys what is done.
  void reap() noexcept;
  void on_tick() noexcept;

  // tgtd has dropped the target: no login any more; the port stays until its sessions are done.
  void retire() noexcept { retired_ = true; }
  [[nodiscard]] bool retired() const noexcept { return retired_; }

 private:
  int tid_;
  std::string name_;
  PortId id_;
  tgt::UnitTasks unit_tasks_;
  std::vector<std::unique_ptr<Session>> sessions_;
  bool retired_ = false;
};

class TargetPorts {
 public:
  TargetPorts(const Settings& settings, EventLoop& loop);
  TargetPorts(const TargetPorts&) = delete;
  TargetPorts& operator=(const TargetPorts&) = delete;

  // tgtd has made a target.
  void add(const tgt::target& target);
  // tgtd is about to destroy it: sessions end now, as far as nothing is in flight.
  void remove(int tid) noexcept;
  // In line with tgtd's list.
  void sync() noexcept;
  void on_tick() noexcept;

  [[nodiscard]] TargetPort* find(int tid) const noexcept;
  [[nodiscard]] TargetPort* find(const PortId& id) const noexcept;
  [[nodiscard]] const std::vector<std::unique_ptr<TargetPort>>& all() const noexcept {
    return ports_;
  }
  [[nodiscard]] std::size_t session_count() const noexcept;

  // Throws std::system_error.
  Session& add_session(TargetPort& port, const InitiatorIdentity& initiator);
  bool on_managed(std::uint64_t task_id, int result) noexcept;
  // The last references are gone: everything that is done goes.
  void reap() noexcept;

 private:
  [[nodiscard]] PortId identifier_of(const std::string& name) const;

  const Settings& settings_;
  EventLoop& loop_;
  std::uint64_t ioc_guid_;
  std::uint64_t last_nexus_id_ = 0;
  std::vector<std::unique_ptr<TargetPort>> ports_;
  Job reap_;
};

}  // namespace srp
