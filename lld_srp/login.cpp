#include "lld_srp/login.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "plugin_api/log.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

using Reason = wire::LoginRejReason;

LoginVerdict refuse(Reason reason, std::string why) {
  return {nullptr, nullptr, reason, std::move(why)};
}

std::vector<std::string> entries(char* (*get)(int tid, int index), int tid) {
  std::vector<std::string> list;
  while (const char* entry = get(tid, static_cast<int>(list.size()))) list.emplace_back(entry);
  return list;
}

Admission admission(int tid, const InitiatorIdentity& initiator) {
  return acl_admits(entries(tgt::acl_get, tid), entries(tgt::iqn_acl_get, tid), initiator);
}

std::string shown(const TargetPort& port) {
  return "target " + std::to_string(port.tid()) + " " + port.name();
}

struct Choice {
  TargetPort* port = nullptr;   // null: none admits it
  TargetPort* rival = nullptr;  // admits it as exactly
};

// The target, of those that share a port, that the initiator is to see.
Choice choose(const std::vector<TargetPort*>& candidates, const InitiatorIdentity& initiator) {
  Choice choice;
  auto best = Admission::no;
  for (TargetPort* port : candidates) {
    const Admission here = admission(port->tid(), initiator);
    if (here == Admission::no || here < best) continue;
    choice = here == best ? Choice{choice.port, port} : Choice{port, nullptr};
    best = here;
  }
  return choice;
}

std::string nobody_admits(const std::vector<TargetPort*>& candidates) {
  std::string all;
  for (const TargetPort* port : candidates) all += (all.empty() ? "" : ", ") + shown(*port);
  return all + ": no ACL admits it: tgtadm --mode target --op bind --tid " +
         std::to_string(candidates.front()->tid()) + " -Q or -I";
}

// An initiator port is one host's; its address may be claimed, but not by mistake.
bool same_host(const InitiatorIdentity& a, const InitiatorIdentity& b) {
  return bytes_of(a.address) == bytes_of(b.address);
}

Session* find_session(const std::vector<TargetPort*>& candidates, const PortId& initiator) {
  for (const TargetPort* port : candidates) {
    if (Session* session = port->live_session(initiator)) return session;
  }
  return nullptr;
}

}  // namespace

bool grants_immediate(const LoginRequest& request, const Settings& settings) noexcept {
  constexpr std::size_t first = sizeof(wire::Cmd) + sizeof(wire::ImmediateDesc);
  return settings.immediate_data && request.immediate && request.immediate_offset >= first &&
         request.immediate_offset % 4 == 0 && request.immediate_offset < settings.srp_max_req_size;
}

void accept_rev10(LoginRequest& request, const Path& path, const TargetPorts& ports,
                  const Settings& settings) {
  if (!settings.rev10_port_ids || !ports.find(request.target_port, path).empty()) return;
  const auto swapped = [](wire::PortId id) {
    std::rotate(id.begin(), id.begin() + id.size() / 2, id.end());
    return id;
  };
  if (ports.find(swapped(request.target_port), path).empty()) return;
  request.target_port = swapped(request.target_port);
  request.initiator_port = swapped(request.initiator_port);
}

LoginVerdict judge_login(const LoginRequest& request, const InitiatorIdentity& initiator,
                         const Path& path, const TargetPorts& ports, const Settings& settings) {
  if (!tgt::is_system_available()) {
    return refuse(Reason::insufficient_resources, "tgtd is offline (tgtadm --mode sys, State)");
  }
  if (request.max_iu_bytes > settings.srp_max_req_size) {
    return refuse(Reason::iu_too_large,
                  "it wants IUs of " + std::to_string(request.max_iu_bytes) +
                      " bytes: raise srp_max_req_size, or lower cmd_sg_entries there");
  }
  const auto candidates = ports.find(request.target_port, path);
  if (candidates.empty()) {
    return refuse(Reason::unable_to_associate,
                  "no target has this id_ext and ioc_guid here: see tgtadm --lld srp --mode "
                  "target --op show --tid N");
  }
  const auto [port, rival] = choose(candidates, initiator);
  if (port == nullptr) return refuse(Reason::unable_to_associate, nobody_admits(candidates));
  if (rival != nullptr) {
    return refuse(Reason::unable_to_associate, shown(*port) + " and " + shown(*rival) +
                                                   " admit it alike: name it more exactly in one");
  }
  Session* const session = find_session(candidates, initiator.port_id);
  const bool joins = session != nullptr && request.action == wire::MultiChannelAction::multi;
  const TargetPort* const owner = joins ? ports.find(session->nexus().tid()) : port;
  if (owner != port) {
    return refuse(Reason::unable_to_associate, "its session is at " + shown(*owner));
  }
  if (joins && !same_host(session->initiator(), initiator)) {
    return refuse(Reason::unable_to_associate,
                  "its session is another host's, at " + shown(*owner));
  }
  const std::string* seen = ports.seen().find(port->id(), initiator.port_id);
  if (seen != nullptr && *seen != port->name() && settings.regroup_s != 0) {
    return refuse(
        Reason::unable_to_associate,
        shown(*port) + ": it has had " + *seen +
            " through the same port, and might take one for the other: wait regroup_s = " +
            std::to_string(settings.regroup_s) + " after its log-out, or set 0");
  }
  if (tgt::tgt_get_target_state(port->tid()) != tgt::SCSI_TARGET_READY) {
    return refuse(Reason::insufficient_resources, shown(*port) + " is offline");
  }
  if (!port->in_partition(path)) {
    char pkey[8];
    std::snprintf(pkey, sizeof pkey, "0x%04x", path.pkey);
    return refuse(Reason::unable_to_associate, shown(*port) + ": its partition " + pkey +
                                                   " is none of the target's pkeys in srp.conf");
  }
  if (joins && session->channels().size() >= settings.channels_max) {
    return refuse(Reason::channel_limit_reached,
                  "its session has channels_max = " + std::to_string(settings.channels_max));
  }
  // Those that drain count, so that an initiator cannot pile up what its old logins hold.
  const std::size_t others = ports.session_count() - (session != nullptr ? 1 : 0);
  if (!joins && others >= settings.sessions_max) {
    return refuse(Reason::insufficient_resources,
                  "there are sessions_max = " + std::to_string(settings.sessions_max));
  }
  return {port, session, {}, {}};
}

}  // namespace srp
