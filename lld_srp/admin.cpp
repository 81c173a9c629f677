#include "lld_srp/admin.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <vector>

#include "lld_srp/address.h"
#include "plugin_api/log.h"
#include "plugin_api/target_view.h"
#include "plugin_api/trace_flags.h"

namespace srp::admin {

namespace {

using tgt::concat_printf;

using Number = unsigned long long;

// Keys that tgt-admin hands to every target it configures; an error would leave the target half
// made.
constexpr std::array<std::string_view, 20> iscsi_keys = {"MaxRecvDataSegmentLength",
                                                         "MaxXmitDataSegmentLength",
                                                         "HeaderDigest",
                                                         "DataDigest",
                                                         "InitialR2T",
                                                         "MaxOutstandingR2T",
                                                         "ImmediateData",
                                                         "FirstBurstLength",
                                                         "MaxBurstLength",
                                                         "DataPDUInOrder",
                                                         "DataSequenceInOrder",
                                                         "ErrorRecoveryLevel",
                                                         "IFMarker",
                                                         "OFMarker",
                                                         "IFMarkInt",
                                                         "OFMarkInt",
                                                         "DefaultTime2Wait",
                                                         "DefaultTime2Retain",
                                                         "MaxConnections",
                                                         "MaxQueueCmd"};

void show_system(Driver& driver, tgt::concat_buf* out) {
  const ConfigResult& config = driver.config();
  concat_printf(out, "SRP:\n");
  concat_printf(out, "    Configuration: %s%s\n", driver.config_file().c_str(),
                config.file_found ? "" : " (not there: defaults)");
  for (const auto& mistake : config.mistakes) {
    concat_printf(out, "    Mistake: %s: %s; %s\n", mistake.where.c_str(), mistake.what.c_str(),
                  mistake.remedy.c_str());
  }
  concat_printf(out, "    Trace: %s\n", text_of_trace_flags(trace_flags).c_str());
  Listener* listener = driver.listener();
  if (listener == nullptr) {
    concat_printf(out, "    State: not listening: mend the configuration, then restart tgtd\n");
    return;
  }
  concat_printf(out, "    State: %s\n",
                listener->problem().empty() ? "listening" : listener->problem().c_str());
  concat_printf(out, "    Sessions: %zu\n", driver.ports().session_count());
  concat_printf(out, "    Connections: %zu\n", listener->connections().size());
  for (const auto& device : listener->devices()) {
    BufferPool& buffers = device->buffers();
    concat_printf(out,
                  "    Device: %s%s, channels %u, data memory %zu MiB registered, %zu KiB in use, "
                  "%zu commands waiting\n",
                  device->name().c_str(), device->removed() ? " (removed)" : "", device->channels(),
                  buffers.bytes_registered() >> 20, buffers.bytes_in_use() >> 10,
                  buffers.waiters());
  }
}

// The lines to paste into an initiator's add_target.
void show_logins(const TargetPort& port, const std::vector<Portal>& addresses,
                 tgt::concat_buf* out) {
  for (const Portal& address : addresses) {
    concat_printf(out, "Login: id_ext=%s,ioc_guid=%s,dest=%s\n", hex64(port.id_ext()).c_str(),
                  hex64(port.ioc_guid()).c_str(), with_port(address.address, address.port).c_str());
  }
}

void show_portals(Driver& driver, tgt::concat_buf* out) {
  Listener* listener = driver.listener();
  if (listener == nullptr) return;
  for (const auto& portal : listener->portals()) {
    const bool listening = portal.id != nullptr;
    const std::string& problem = portal.problem.empty() ? listener->problem() : portal.problem;
    concat_printf(out, "Portal: %s%s%s\n",
                  with_port(portal.portal.address, portal.portal.port).c_str(),
                  listening ? "" : " not listening: ", listening ? "" : problem.c_str());
  }
  const auto reachable = listener->reachable();
  for (const auto& port : driver.ports().all()) {
    if (port->retired()) continue;
    show_logins(*port, reachable, out);
  }
}

void show_target(Driver& driver, const TargetPort& port, tgt::concat_buf* out) {
  concat_printf(out, "Target port: %s\n", to_string(port.id()).c_str());
  concat_printf(out, "id_ext=%s\nioc_guid=%s\n", hex64(port.id_ext()).c_str(),
                hex64(port.ioc_guid()).c_str());
  if (driver.listener() == nullptr) return;
  show_logins(port, driver.listener()->reachable(), out);
}

void show_session(Driver& driver, Session& session, tgt::concat_buf* out) {
  concat_printf(out, "Session: %llu\n", static_cast<Number>(session.nexus().id()));
  concat_printf(out, "    Initiator: %s\n", session.initiator_name().c_str());
  concat_printf(out, "    State: %s\n", session.live() ? "live" : "draining");
  const SessionStats& stats = session.stats();
  concat_printf(out,
                "    Commands: %llu, %zu outstanding, %u with tgtd, %llu failed; tasks: %llu; "
                "bytes in: %llu, out: %llu\n",
                static_cast<Number>(stats.commands), session.tasks().size(),
                session.nexus().in_flight(), static_cast<Number>(stats.errors),
                static_cast<Number>(stats.tasks), static_cast<Number>(stats.bytes_in),
                static_cast<Number>(stats.bytes_out));
  concat_printf(out, "    Immediate data: %llu commands\n    Indirect: %llu commands\n",
                static_cast<Number>(stats.immediate), static_cast<Number>(stats.indirect));
  concat_printf(out, "    External tables: %llu commands\n", static_cast<Number>(stats.tables));
  unsigned number = 0;
  for (const auto& connection : driver.listener()->connections()) {
    if (connection->session() != &session) continue;
    CreditLedger& credits = connection->channel().credits();
    concat_printf(out, "    Connection: %u\n        %s at %s, device %s, QP 0x%x%s\n", ++number,
                  connection->peer().c_str(), connection->local().c_str(),
                  connection->channel().device().name().c_str(), connection->channel().qp_num(),
                  connection->established() ? "" : ", not established");
    concat_printf(out, "        request limit %u: %u with the initiator, %u served\n",
                  credits.total(), credits.held(), credits.serving());
  }
}

TargetPort* require_port(Driver& driver, int tid, const char* what) {
  driver.ports().sync();
  TargetPort* port = driver.ports().find(tid);
  if (port == nullptr) log_error("%s: there is no SRP target %d", what, tid);
  return port;
}

tgt::tgtadm_err update_target(Driver& driver, int tid, const char* name) {
  if (require_port(driver, tid, "update target") == nullptr) return tgt::TGTADM_NO_TARGET;
  if (name != nullptr &&
      std::ranges::find(iscsi_keys, std::string_view{name}) != iscsi_keys.end()) {
    log_notice("target parameter %s is iSCSI's: ignored", name);
    return tgt::TGTADM_SUCCESS;
  }
  log_error("target parameter %s is unknown; state is the one that can be set",
            name ? name : "(none)");
  return tgt::TGTADM_UNKNOWN_PARAM;
}

tgt::tgtadm_err delete_session(Driver& driver, int tid, std::uint64_t sid,
                               tgt::tgtadm_err missing) {
  const TargetPort* port = require_port(driver, tid, "delete connection");
  if (port == nullptr) return tgt::TGTADM_NO_TARGET;
  Session* session = port->find_session(sid);
  if (session == nullptr || session->draining()) {
    log_error(
        "delete connection: target %d has no session %llu: see tgtadm --lld srp --mode conn "
        "--op show --tid %d",
        tid, static_cast<Number>(sid), tid);
    return missing;
  }
  session->dismiss("deleted by tgtadm", wire::LogoutReason::none);
  return tgt::TGTADM_SUCCESS;
}

tgt::tgtadm_err update_trace(std::string_view value) {
  const auto flags = trace_flags_from_text(value);
  if (!flags) {
    log_error("trace_flag=%.*s: write %s",
              static_cast<int>(std::min<std::size_t>(value.size(), 40)), value.data(),
              trace_flags_help().c_str());
    return tgt::TGTADM_INVALID_REQUEST;
  }
  log_notice("trace: %s", text_of_trace_flags(*flags).c_str());
  trace_flags = *flags;
  return tgt::TGTADM_SUCCESS;
}

// tgtd hands in what tgtadm's --name and --value make: "name=value".
tgt::tgtadm_err update_system(Driver& driver, std::string_view assignment) {
  const std::string_view name = assignment.substr(0, assignment.find('='));
  if (name == "trace_flag") {
    return update_trace(assignment.substr(std::min(name.size() + 1, assignment.size())));
  }
  const std::string_view shown = assignment.empty() ? "(none)" : assignment.substr(0, 80);
  if (std::ranges::find(known_settings(), name, &SettingInfo::name) != known_settings().end()) {
    log_error("system parameter %.*s cannot be set while tgtd runs: set it in %s and restart",
              static_cast<int>(shown.size()), shown.data(), driver.config_file().c_str());
  } else {
    log_error("system parameter %.*s is unknown; trace_flag is the one that can be set",
              static_cast<int>(shown.size()), shown.data());
  }
  return tgt::TGTADM_UNKNOWN_PARAM;
}

// Calls act(portal) for each portal in params; false where one is no address.
template <class Act>
bool for_each_portal(std::string_view params, Act&& act) {
  constexpr std::string_view key = "portal=";
  bool any = false;
  while (!params.empty()) {
    std::string_view one = params.substr(0, params.find(','));
    params.remove_prefix(std::min(one.size() + 1, params.size()));
    if (one.starts_with(key)) one.remove_prefix(key.size());
    if (one.empty()) continue;
    const auto portal = portal_from_text(one);
    if (!portal) {
      log_error(
          "portal %.*s: not an address: use 10.0.0.1, 10.0.0.1:5000, [fe80::1%%eth0]:5000 or *",
          static_cast<int>(one.size()), one.data());
      return false;
    }
    if (!act(*portal, one)) return false;
    any = true;
  }
  if (!any) log_error("no portal: use --param portal=10.0.0.1:5000, or portal=* for all addresses");
  return any;
}

Listener* require_listener(Driver& driver) {
  if (driver.listener() == nullptr) {
    log_error(
        "no portals while the configuration is broken: see tgtadm --lld srp --mode sys --op show");
  }
  return driver.listener();
}

}  // namespace

tgt::tgtadm_err show(Driver& driver, int mode, int tid, std::uint64_t sid, tgt::concat_buf* out) {
  switch (mode) {
    case tgt::MODE_SYSTEM: show_system(driver, out); return tgt::TGTADM_SUCCESS;
    case tgt::MODE_PORTAL: show_portals(driver, out); return tgt::TGTADM_SUCCESS;
    case tgt::MODE_TARGET:
    case tgt::MODE_CONNECTION: {
      const TargetPort* port = require_port(driver, tid, "show");
      if (port == nullptr) return tgt::TGTADM_NO_TARGET;
      if (mode == tgt::MODE_TARGET) {
        show_target(driver, *port, out);
        return tgt::TGTADM_SUCCESS;
      }
      for (const auto& session : port->sessions()) {
        if (sid == 0 || session->nexus().id() == sid) show_session(driver, *session, out);
      }
      return tgt::TGTADM_SUCCESS;
    }
    default:
      log_error("show: nothing to show in mode %d", mode);
      return tgt::TGTADM_INVALID_REQUEST;
  }
}

tgt::tgtadm_err stat(Driver& driver, int mode, int tid, std::uint64_t sid, tgt::concat_buf* out) {
  if (mode != tgt::MODE_SESSION && mode != tgt::MODE_CONNECTION) return tgt::TGTADM_INVALID_REQUEST;
  const TargetPort* port = require_port(driver, tid, "stat");
  if (port == nullptr) return tgt::TGTADM_NO_TARGET;
  if (sid != 0 && port->find_session(sid) == nullptr) {
    log_error("stat: target %d has no session %llu", tid, static_cast<Number>(sid));
    return mode == tgt::MODE_SESSION ? tgt::TGTADM_NO_SESSION : tgt::TGTADM_NO_CONNECTION;
  }
  tgt::tgt_stat_header(out);
  for (const auto& session : port->sessions()) {
    const std::uint64_t id = session->nexus().id();
    if (sid != 0 && id != sid) continue;
    tgt::it_nexus* nexus = tgt::it_nexus_lookup(tid, id);
    if (nexus == nullptr) continue;
    (void)tgt::find_in_list<tgt::it_nexus_lu_info>(
        nexus->itn_itl_info_list, offsetof(tgt::it_nexus_lu_info, itn_itl_info_siblings),
        [&](tgt::it_nexus_lu_info& info) {
          tgt::tgt_stat_line(tid, info.lu->lun, id, &info.stat, out);
          return false;
        });
  }
  return tgt::TGTADM_SUCCESS;
}

tgt::tgtadm_err update(Driver& driver, int mode, int op, int tid, std::uint64_t sid,
                       const char* name) {
  trace(Trace::admin, "update: mode %d, op %d, target %d, session %llu, %s", mode, op, tid,
        static_cast<Number>(sid), name ? name : "(no name)");
  switch (mode) {
    case tgt::MODE_TARGET: return update_target(driver, tid, name);
    case tgt::MODE_SESSION:
      if (op == tgt::OP_DELETE) return delete_session(driver, tid, sid, tgt::TGTADM_NO_SESSION);
      log_error(
          "mode session knows delete; sessions are shown by tgtadm --lld srp --mode conn "
          "--op show --tid N");
      return tgt::TGTADM_INVALID_REQUEST;
    case tgt::MODE_CONNECTION:
      if (op == tgt::OP_DELETE) return delete_session(driver, tid, sid, tgt::TGTADM_NO_CONNECTION);
      return tgt::TGTADM_INVALID_REQUEST;
    case tgt::MODE_SYSTEM: return update_system(driver, name ? name : "");
    default:
      log_error("update: nothing to update in mode %d", mode);
      return tgt::TGTADM_INVALID_REQUEST;
  }
}

bool create_portals(Driver& driver, const char* params) {
  Listener* listener = require_listener(driver);
  return listener != nullptr && params != nullptr &&
         for_each_portal(params, [&](const Portal& portal, std::string_view text) {
           if (listener->add_portal(portal)) return true;
           log_error("portal %.*s is there already", static_cast<int>(text.size()), text.data());
           return false;
         });
}

bool destroy_portals(Driver& driver, const char* params) {
  Listener* listener = require_listener(driver);
  return listener != nullptr && params != nullptr &&
         for_each_portal(params, [&](const Portal& portal, std::string_view text) {
           if (listener->remove_portal(portal)) return true;
           log_error("there is no portal %.*s: see tgtadm --lld srp --mode portal --op show",
                     static_cast<int>(text.size()), text.data());
           return false;
         });
}

}  // namespace srp::admin
