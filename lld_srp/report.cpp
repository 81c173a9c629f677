#include "lld_srp/report.h"

#include "lld_srp/address.h"
#include "lld_srp/json.h"
#include "lld_srp/show.h"
#include "plugin_api/target_view.h"
#include "plugin_api/trace_flags.h"

namespace srp {

namespace {

void add_driver(Driver& driver, JsonWriter& json) {
  Listener* listener = driver.listener();
  json.begin_object("driver");
  json.add("version", TGT_SRP_VERSION);
  json.add("configuration", driver.config_file());
  json.add("configuration_found", driver.config().file_found);
  json.add("listening", listener != nullptr && listener->problem().empty());
  json.add("problem", listener != nullptr ? std::string_view{listener->problem()}
                                          : std::string_view{"the configuration is broken"});
  json.begin_array("mistakes");
  for (const ConfigMistake& mistake : driver.config().mistakes) {
    json.add({}, mistake.where + ": " + mistake.what + "; " + mistake.remedy);
  }
  json.end();
  json.end();
}

void add_settings(const Settings& settings, JsonWriter& json) {
  json.begin_object("settings");
  for (const ScalarSetting& setting : scalar_settings()) {
    const std::string_view name = setting.info.name;
    if (name == "trace_flag") {
      json.add(name, trace_flags);
    } else if (setting.info.is_boolean()) {
      json.add(name, setting.value(settings) != 0);
    } else {
      json.add(name, setting.value(settings));
    }
  }
  json.end();
}

void add_portals(Listener& listener, JsonWriter& json) {
  json.begin_array("portals");
  for (const ListeningPortal& portal : listener.portals()) {
    json.begin_object();
    json.add("address", portal.portal.address);
    json.add("port", portal.portal.port);
    json.add("listening", portal.id != nullptr);
    json.add("problem", portal.id != nullptr ? std::string_view{} : portal.problem);
    json.end();
  }
  json.end();
}

void add_devices(Listener& listener, JsonWriter& json) {
  json.begin_array("devices");
  for (const auto& device : listener.devices()) {
    json.begin_object();
    json.add("name", device->name());
    json.add("removed", device->removed());
    json.add("channels", device->channels());
    json.add("data_bytes_registered", device->buffers().bytes_registered());
    json.add("data_bytes_in_use", device->buffers().bytes_in_use());
    json.add("commands_waiting_for_memory", device->buffers().waiters());
    json.end();
  }
  json.end();
}

void add_channel(Connection& connection, JsonWriter& json) {
  Channel& channel = connection.channel();
  const Path& path = connection.path();
  const ChannelSizes& sizes = channel.sizes();
  json.begin_object();
  json.add("initiator_address", connection.peer());
  json.add("initiator_gid", gid_text(path.peer_gid));
  json.add("target_address", to_string(path.local));
  json.add("target_gid", gid_text(path.local_gid));
  json.add("device", path.device);
  json.add("device_port", path.device_port);
  json.add("pkey", path.pkey);
  json.add("qp", channel.qp_num());
  json.add("established", connection.established());
  json.add("request_bytes_max", sizes.request_bytes);
  json.add("response_bytes_max", sizes.response_bytes);
  json.add("immediate_data_offset", sizes.immediate_offset);
  json.add("request_limit", channel.credits().total());
  json.add("requests_with_initiator", channel.credits().held());
  json.add("requests_served", channel.credits().serving());
  json.add("commands_waiting_for_memory", connection.waiting());
  json.end();
}

void add_failure(const FailedCommand& failed, JsonWriter& json) {
  json.begin_object("last_failed_command");
  if (failed.at != 0) {
    json.add("at", time_text(failed.at));
    json.add("lun", failed.lun);
    json.add("opcode", failed.opcode);
    json.add("status", failed.status);
    json.add("sense_key", failed.sense_key);
    json.add("asc", failed.asc);
    json.add("ascq", failed.ascq);
  }
  json.end();
}

void add_unit_statistics(const TargetPort& port, const Session& session, JsonWriter& json) {
  json.begin_array("units");
  if (tgt::it_nexus* nexus = tgt::it_nexus_lookup(port.tid(), session.stamp().id)) {
    (void)tgt::find_in_list<tgt::it_nexus_lu_info>(
        nexus->itn_itl_info_list, offsetof(tgt::it_nexus_lu_info, itn_itl_info_siblings),
        [&json](tgt::it_nexus_lu_info& info) {
          json.begin_object();
          json.add("lun", info.lu->lun);
          json.add("read_commands", info.stat.rd_done_cmds);
          json.add("read_bytes", info.stat.rd_done_bytes);
          json.add("write_commands", info.stat.wr_done_cmds);
          json.add("write_bytes", info.stat.wr_done_bytes);
          json.add("errors", info.stat.err_num);
          json.end();
          return false;
        });
  }
  json.end();
}

void add_session(Driver& driver, const TargetPort& port, Session& session, JsonWriter& json) {
  const SessionStats& stats = session.stats();
  json.begin_object();
  json.add("sid", session.stamp().id);
  json.add("initiator_port_id", session.initiator_name());
  json.add("state", session.live() ? "live" : "draining");
  json.add("since", time_text(session.since()));
  json.add("commands", stats.commands);
  json.add("commands_outstanding", session.tasks().size());
  json.add("commands_with_tgtd", session.nexus().in_flight());
  json.add("commands_failed", stats.errors);
  json.add("commands_with_immediate_data", stats.immediate);
  json.add("commands_with_tables", stats.indirect);
  json.add("commands_with_external_tables", stats.tables);
  json.add("tasks", stats.tasks);
  json.add("bytes_in", stats.bytes_in);
  json.add("bytes_out", stats.bytes_out);
  add_failure(stats.failed, json);
  json.add("last_closed_channel", session.lost_channel() != nullptr ? session.lost_channel() : "");
  json.begin_array("channels");
  for (const auto& connection : driver.listener()->connections()) {
    if (connection->session() == &session) add_channel(*connection, json);
  }
  json.end();
  add_unit_statistics(port, session, json);
  json.end();
}

void add_units(tgt::target& target, JsonWriter& json) {
  json.begin_array("units");
  (void)tgt::find_in_list<tgt::scsi_lu>(target.device_list, offsetof(tgt::scsi_lu, device_siblings),
                                        [&json](const tgt::scsi_lu& lu) {
                                          json.begin_object();
                                          json.add("lun", lu.lun);
                                          json.add("device_type", lu.attrs.device_type);
                                          json.add("backing_store", tgt::bs_name(lu));
                                          json.add("path", lu.path != nullptr ? lu.path : "");
                                          json.add("bytes", lu.size);
                                          json.add("scsi_id", lu.attrs.scsi_id);
                                          json.add("scsi_sn", lu.attrs.scsi_sn);
                                          json.end();
                                          return false;
                                        });
  json.end();
}

void add_acl(std::string_view key, char* (*get)(int tid, int index), int tid, JsonWriter& json) {
  json.begin_array(key);
  int index = 0;
  while (const char* entry = get(tid, index++)) json.add({}, entry);
  json.end();
}

void add_target(Driver& driver, const TargetPort& port, std::uint64_t sid,
                const std::vector<Listener::Access>& accesses, JsonWriter& json) {
  json.begin_object();
  json.add("tid", port.tid());
  json.add("name", port.name());
  json.add("ready", tgt::tgt_get_target_state(port.tid()) == tgt::SCSI_TARGET_READY);
  json.add("port_id", port.by_node_guid() ? std::string{} : to_string(port.id()));
  json.add("named_by_port", port.named_by_port());
  json.begin_array("logins");
  for (const auto& access : accesses) {
    const std::string login = login_text(port, access);
    if (!login.empty()) json.add({}, login);
  }
  json.end();
  if (tgt::target* target = tgt::find_target(port.tid())) add_units(*target, json);
  add_acl("initiator_addresses", tgt::acl_get, port.tid(), json);
  add_acl("initiator_names", tgt::iqn_acl_get, port.tid(), json);
  json.begin_array("sessions");
  for (const auto& session : port.sessions()) {
    if (sid == 0 || session->stamp().id == sid) add_session(driver, port, *session, json);
  }
  json.end();
  json.end();
}

}  // namespace

std::string report(Driver& driver, int tid, std::uint64_t sid) {
  JsonWriter json;
  json.begin_object();
  add_driver(driver, json);
  add_settings(driver.config().settings, json);
  std::vector<Listener::Access> accesses;
  if (driver.listener() != nullptr) {
    add_portals(*driver.listener(), json);
    add_devices(*driver.listener(), json);
    accesses = driver.listener()->reachable();
  }
  json.begin_array("targets");
  for (const auto& port : driver.ports().all()) {
    if (port->retired() || (tid >= 0 && port->tid() != tid)) continue;
    add_target(driver, *port, sid, accesses, json);
  }
  json.end();
  json.end();
  return json.text() + "\n";
}

}  // namespace srp
