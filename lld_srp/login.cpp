#include "lld_srp/login.h"

#include <algorithm>
#include <vector>

#include "plugin_api/target_view.h"

namespace srp {

namespace {

using Reason = wire::LoginRejReason;

LoginVerdict refuse(Reason reason, std::string why) { return {nullptr, reason, std::move(why)}; }

std::vector<std::string> entries(char* (*get)(int tid, int index), int tid) {
  std::vector<std::string> list;
  while (const char* entry = get(tid, static_cast<int>(list.size()))) list.emplace_back(entry);
  return list;
}

bool admitted(int tid, const InitiatorIdentity& initiator) {
  return acl_admits(entries(tgt::acl_get, tid), entries(tgt::iqn_acl_get, tid), initiator);
}

}  // namespace

bool grants_immediate(const LoginRequest& request, const Settings& settings) noexcept {
  constexpr std::size_t first = sizeof(wire::Cmd) + sizeof(wire::ImmediateDesc);
  return settings.immediate_data && request.immediate && request.immediate_offset >= first &&
         request.immediate_offset % 4 == 0 && request.immediate_offset < settings.srp_max_req_size;
}

void accept_rev10(LoginRequest& request, const TargetPorts& ports, const Settings& settings) {
  if (!settings.rev10_port_ids || ports.find(request.target_port) != nullptr) return;
  const auto swapped = [](wire::PortId id) {
    std::rotate(id.begin(), id.begin() + id.size() / 2, id.end());
    return id;
  };
  if (ports.find(swapped(request.target_port)) == nullptr) return;
  request.target_port = swapped(request.target_port);
  request.initiator_port = swapped(request.initiator_port);
}

LoginVerdict judge_login(const LoginRequest& request, const InitiatorIdentity& initiator,
                         const TargetPorts& ports, const Settings& settings) {
  if (!tgt::is_system_available()) {
    return refuse(Reason::insufficient_resources, "tgtd is offline (tgtadm --mode sys, State)");
  }
  if (request.max_iu_bytes > settings.srp_max_req_size) {
    return refuse(Reason::iu_too_large,
                  "it wants IUs of " + std::to_string(request.max_iu_bytes) +
                      " bytes: raise srp_max_req_size, or lower cmd_sg_entries there");
  }
  TargetPort* port = ports.find(request.target_port);
  if (port == nullptr) {
    return refuse(Reason::unable_to_associate,
                  "no target has this id_ext and ioc_guid: see tgtadm --lld srp --mode target "
                  "--op show --tid N");
  }
  const std::string target = "target " + std::to_string(port->tid()) + " " + port->name();
  if (tgt::tgt_get_target_state(port->tid()) != tgt::SCSI_TARGET_READY) {
    return refuse(Reason::insufficient_resources, target + " is offline");
  }
  if (!admitted(port->tid(), initiator)) {
    return refuse(Reason::unable_to_associate,
                  target + ": no ACL admits it: tgtadm --mode target --op bind --tid " +
                      std::to_string(port->tid()) + " -Q or -I");
  }
  const Session* session = port->live_session(initiator.port_id);
  const bool joins = session != nullptr && request.action == wire::MultiChannelAction::multi;
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
  return {port, {}, {}};
}

}  // namespace srp
