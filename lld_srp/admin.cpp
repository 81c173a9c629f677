#include "lld_srp/admin.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "lld_srp/report.h"
#include "lld_srp/show.h"
#include "plugin_api/log.h"
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

TargetPort* require_port(Driver& driver, int tid, const char* what) {
  driver.ports().sync();
  TargetPort* port = driver.ports().find(tid);
  if (port == nullptr) log_error("%s: there is no SRP target %d", what, tid);
  return port;
}

// Calls visit(port, session) for the sessions of a target, or of all targets where tgtadm was given
// none. missing: the result where sid is set and there is no such session.
template <class Visit>
tgt::tgtadm_err for_each_session(Driver& driver, int tid, std::uint64_t sid,
                                 tgt::tgtadm_err missing, Visit&& visit) {
  if (tid >= 0 && require_port(driver, tid, "sessions") == nullptr) return tgt::TGTADM_NO_TARGET;
  driver.ports().sync();
  bool found = false;
  for (const auto& port : driver.ports().all()) {
    if (port->retired() || (tid >= 0 && port->tid() != tid)) continue;
    for (const auto& session : port->sessions()) {
      if (sid != 0 && session->nexus().id() != sid) continue;
      found = true;
      visit(*port, *session);
    }
  }
  if (sid == 0 || found) return tgt::TGTADM_SUCCESS;
  log_error("there is no session %llu: see tgtadm --lld srp --mode conn --op show",
            static_cast<Number>(sid));
  return missing;
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
  if (session == nullptr) {
    log_error(
        "delete connection: target %d has no session %llu: see tgtadm --lld srp --mode conn "
        "--op show --tid %d",
        tid, static_cast<Number>(sid), tid);
    return missing;
  }
  driver.remove_session(*session, "deleted by tgtadm");
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

// The state is tgtd's, and so concerns all drivers, as it does without --lld. Beyond that, offline
// ends our sessions: it is what a service script says first when it stops tgtd.
tgt::tgtadm_err update_state(Driver& driver, std::string value) {
  const tgt::tgtadm_err result = tgt::system_set_state(value.data());
  if (result != tgt::TGTADM_SUCCESS) {
    log_error("State=%.40s: write offline or ready", value.c_str());
    return tgt::TGTADM_INVALID_REQUEST;
  }
  log_notice("tgtd is %s", value.c_str());
  if (tgt::is_system_available() == 0) driver.dismiss_everybody("tgtd goes offline");
  return tgt::TGTADM_SUCCESS;
}

// Shared receives are laid out when a device is opened.
bool fixed_by_srq(std::string_view name, const Settings& settings) {
  return settings.use_srq &&
         (name == "credits" || name == "srp_max_req_size" || name == "immediate_data");
}

tgt::tgtadm_err update_setting(Driver& driver, const ScalarSetting& setting,
                               std::string_view text) {
  const std::string name{setting.info.name};
  const char* file = driver.config_file().c_str();
  if (!setting.info.at_run_time) {
    log_error("%s cannot change while tgtd runs: set it in %s and restart tgtd", name.c_str(),
              file);
    return tgt::TGTADM_UNSUPPORTED_OPERATION;
  }
  if (fixed_by_srq(name, driver.config().settings)) {
    log_error("%s cannot change while tgtd runs and use_srq is true: set it in %s and restart tgtd",
              name.c_str(), file);
    return tgt::TGTADM_UNSUPPORTED_OPERATION;
  }
  const auto value = value_from_text(setting.info, text);
  if (!value) {
    log_error("%s=%.*s: write %s", name.c_str(),
              static_cast<int>(std::min<std::size_t>(text.size(), 40)), text.data(),
              range_text(setting.info).c_str());
    return tgt::TGTADM_INVALID_REQUEST;
  }
  driver.change(setting, *value);
  log_notice("%s = %s from now on, for new logins; %s keeps it over a restart", name.c_str(),
             value_text(setting.info, *value).c_str(), file);
  return tgt::TGTADM_SUCCESS;
}

// tgtd hands in what tgtadm's --name and --value make: "name=value".
tgt::tgtadm_err update_system(Driver& driver, std::string_view assignment) {
  const std::string_view name = assignment.substr(0, assignment.find('='));
  const std::string_view value = assignment.substr(std::min(name.size() + 1, assignment.size()));
  if (name == "trace_flag") return update_trace(value);
  if (name == "State") return update_state(driver, std::string{value});
  for (const ScalarSetting& setting : scalar_settings()) {
    if (setting.info.name == name) return update_setting(driver, setting, value);
  }
  const std::string_view shown = assignment.empty() ? "(none)" : assignment.substr(0, 80);
  const std::string nearest{nearest_setting("", name)};
  log_error("system parameter %.*s is unknown or no single value%s%s; see srp.conf(5)",
            static_cast<int>(shown.size()), shown.data(), nearest.empty() ? "" : ": perhaps ",
            nearest.c_str());
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
          "portal %.*s: not an address: use 10.0.0.1, 10.0.0.1:5000, [fe80::1%%eth0]:5000, ib or *",
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
    case tgt::MODE_TARGET: {
      const TargetPort* port = require_port(driver, tid, "show");
      if (port == nullptr) return tgt::TGTADM_NO_TARGET;
      show_target(driver, *port, out);
      return tgt::TGTADM_SUCCESS;
    }
    case tgt::MODE_CONNECTION:
      return for_each_session(driver, tid, sid, tgt::TGTADM_NO_CONNECTION,
                              [&](const TargetPort& port, Session& session) {
                                if (tid < 0)
                                  concat_printf(out, "Target %d: %s\n", port.tid(),
                                                port.name().c_str());
                                show_session(driver, session, out);
                              });
    default:
      log_error("show: nothing to show in mode %d", mode);
      return tgt::TGTADM_INVALID_REQUEST;
  }
}

tgt::tgtadm_err stat(Driver& driver, int mode, int tid, std::uint64_t sid, tgt::concat_buf* out) {
  if (mode == tgt::MODE_CONNECTION) {
    driver.ports().sync();
    const auto result = for_each_session(driver, tid, sid, tgt::TGTADM_NO_CONNECTION,
                                         [](const TargetPort&, Session&) {});
    if (result != tgt::TGTADM_SUCCESS) return result;
    concat_printf(out, "%s", report(driver, tid, sid).c_str());
    return tgt::TGTADM_SUCCESS;
  }
  if (mode != tgt::MODE_SESSION) return tgt::TGTADM_INVALID_REQUEST;
  tgt::tgt_stat_header(out);
  return for_each_session(
      driver, tid, sid, tgt::TGTADM_NO_SESSION,
      [out](const TargetPort& port, Session& session) { show_statistics(port, session, out); });
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
          "mode session knows stat and delete; sessions are shown by tgtadm --lld srp --mode conn "
          "--op show");
      return tgt::TGTADM_INVALID_REQUEST;
    case tgt::MODE_CONNECTION:
      if (op == tgt::OP_DELETE) return delete_session(driver, tid, sid, tgt::TGTADM_NO_CONNECTION);
      log_error("mode conn knows show, stat and delete");
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
