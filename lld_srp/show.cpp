#include "lld_srp/show.h"

#include <algorithm>
#include <cstdio>

#include "lld_srp/address.h"
#include "lld_srp/infiniband.h"
#include "plugin_api/log.h"
#include "plugin_api/target_view.h"
#include "plugin_api/trace_flags.h"

namespace srp {

namespace {

using tgt::concat_printf;

using Number = unsigned long long;

std::string gid_or_none(const Bytes16& gid) { return gid == Bytes16{} ? "none" : gid_text(gid); }

void show_settings(const Settings& settings, tgt::concat_buf* out) {
  for (const ScalarSetting& setting : scalar_settings()) {
    const SettingInfo& info = setting.info;
    const std::uint32_t value = setting.value(settings);
    if (value == info.default_value || info.name == "trace_flag") continue;
    concat_printf(out, "    Setting: %.*s = %s, default %s\n", static_cast<int>(info.name.size()),
                  info.name.data(), value_text(info, value).c_str(),
                  value_text(info, info.default_value).c_str());
  }
}

void show_device(Device& device, tgt::concat_buf* out) {
  BufferPool& buffers = device.buffers();
  concat_printf(out,
                "    Device: %s%s, channels %u, data memory %zu MiB registered, %zu KiB in use, "
                "%zu commands waiting\n",
                device.name().c_str(), device.removed() ? " (removed)" : "", device.channels(),
                buffers.bytes_registered() >> 20, buffers.bytes_in_use() >> 10, buffers.waiters());
}

void show_logins(const TargetPort& port, const std::vector<Listener::Access>& accesses,
                 tgt::concat_buf* out) {
  for (const auto& access : accesses) {
    const std::string login = login_text(port, access);
    if (!login.empty()) concat_printf(out, "Login: %s\n", login.c_str());
  }
}

void show_channel(Connection& connection, unsigned number, tgt::concat_buf* out) {
  Channel& channel = connection.channel();
  const Path& path = connection.path();
  const ChannelSizes& sizes = channel.sizes();
  CreditLedger& credits = channel.credits();
  concat_printf(out, "    Connection: %u\n        %s at %s, device %s port %u, QP 0x%x%s\n", number,
                connection.peer().c_str(), to_string(path.local).c_str(), path.device.c_str(),
                path.device_port, channel.qp_num(),
                connection.established() ? "" : ", not established");
  concat_printf(out, "        GID %s at %s, P_Key 0x%04x\n", gid_or_none(path.peer_gid).c_str(),
                gid_or_none(path.local_gid).c_str(), path.pkey);
  concat_printf(out,
                "        request limit %u: %u with the initiator, %u served, %zu wait for memory\n",
                credits.total(), credits.held(), credits.serving(), connection.waiting());
  concat_printf(out, "        IUs of %u bytes to the target, %u to the initiator; immediate data: ",
                sizes.request_bytes, sizes.response_bytes);
  if (sizes.immediate_offset != 0) {
    concat_printf(out, "at byte %u\n", sizes.immediate_offset);
  } else {
    concat_printf(out, "no\n");
  }
}

}  // namespace

std::string time_text(std::time_t time) {
  char text[32] = "";
  tm parts{};
  if (gmtime_r(&time, &parts) != nullptr) {
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  }
  return text;
}

std::string failure_text(const FailedCommand& failed) {
  char text[96];
  std::snprintf(text, sizeof text, "opcode 0x%02x of unit %llu: status 0x%02x, sense %x/%02x/%02x",
                failed.opcode, static_cast<Number>(failed.lun), failed.status, failed.sense_key,
                failed.asc, failed.ascq);
  return text;
}

std::string login_text(const TargetPort& port, const Listener::Access& access) {
  const auto id = port.id_over(access.path);
  if (!id) return {};
  const std::string target = "id_ext=" + hex64(id_ext(*id)) + ",ioc_guid=" + hex64(ioc_guid(*id));
  if (!access.path.by_gid())
    return target + ",dest=" + with_port(access.portal.address, access.portal.port);
  if (!port.in_partition(access.path)) return {};
  return target + "," + infiniband_destination(access.path, access.portal.port);
}

void show_system(Driver& driver, tgt::concat_buf* out) {
  const ConfigResult& config = driver.config();
  concat_printf(out, "SRP: version " TGT_SRP_VERSION "\n");
  concat_printf(out, "    Configuration: %s%s\n", driver.config_file().c_str(),
                config.file_found ? "" : " (not there: defaults)");
  for (const auto& mistake : config.mistakes) {
    concat_printf(out, "    Mistake: %s: %s; %s\n", mistake.where.c_str(), mistake.what.c_str(),
                  mistake.remedy.c_str());
  }
  show_settings(config.settings, out);
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
  for (const auto& device : listener->devices()) show_device(*device, out);
}

void show_portals(Driver& driver, tgt::concat_buf* out) {
  Listener* listener = driver.listener();
  if (listener == nullptr) return;
  const auto accesses = listener->reachable();
  const bool infiniband =
      std::ranges::any_of(accesses, [](const auto& access) { return access.path.by_gid(); });
  for (const auto& portal : listener->portals()) {
    const bool listening = portal.id != nullptr;
    const std::string& problem = portal.problem.empty() ? listener->problem() : portal.problem;
    const bool unused = portal.portal.address == infiniband_portal && !infiniband;
    concat_printf(out, "Portal: %s%s%s\n",
                  with_port(portal.portal.address, portal.portal.port).c_str(),
                  !listening ? " not listening: " : (unused ? " (no InfiniBand port here)" : ""),
                  listening ? "" : problem.c_str());
  }
  for (const auto& port : driver.ports().all()) {
    if (!port->retired()) show_logins(*port, accesses, out);
  }
}

void show_target(Driver& driver, const TargetPort& port, tgt::concat_buf* out) {
  if (port.named_by_port()) concat_printf(out, "Served by: the port that it is named by\n");
  if (!port.by_node_guid()) {  // else each device has another one, which the login lines show
    concat_printf(out, "Target port: %s\n", to_string(port.id()).c_str());
    concat_printf(out, "id_ext=%s\nioc_guid=%s\n", hex64(id_ext(port.id())).c_str(),
                  hex64(ioc_guid(port.id())).c_str());
  }
  for (const auto& other : driver.ports().all()) {
    if (other.get() == &port || port.named_by_port() || other->retired() ||
        other->id() != port.id())
      continue;
    concat_printf(out, "Shared with: target %d %s\n", other->tid(), other->name().c_str());
  }
  if (driver.listener() == nullptr) return;
  show_logins(port, driver.listener()->reachable(), out);
}

void show_session(Driver& driver, Session& session, tgt::concat_buf* out) {
  concat_printf(out, "Session: %llu\n", static_cast<Number>(session.nexus().id()));
  concat_printf(out, "    Initiator: %s\n", session.initiator_name().c_str());
  concat_printf(out, "    State: %s since %s\n", session.live() ? "live" : "draining",
                time_text(session.since()).c_str());
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
  if (stats.failed.at != 0) {
    concat_printf(out, "    Last failed command: %s %s\n", time_text(stats.failed.at).c_str(),
                  failure_text(stats.failed).c_str());
  }
  if (session.lost_channel() != nullptr) {
    concat_printf(out, "    Last closed channel: %s %s\n", time_text(session.lost_at()).c_str(),
                  session.lost_channel());
  }
  unsigned number = 0;
  for (const auto& connection : driver.listener()->connections()) {
    if (connection->session() == &session) show_channel(*connection, ++number, out);
  }
}

void show_statistics(const TargetPort& port, const Session& session, tgt::concat_buf* out) {
  const std::uint64_t id = session.stamp().id;
  tgt::it_nexus* nexus = tgt::it_nexus_lookup(port.tid(), id);
  if (nexus == nullptr) return;
  (void)tgt::find_in_list<tgt::it_nexus_lu_info>(
      nexus->itn_itl_info_list, offsetof(tgt::it_nexus_lu_info, itn_itl_info_siblings),
      [&](tgt::it_nexus_lu_info& info) {
        tgt::tgt_stat_line(port.tid(), info.lu->lun, id, &info.stat, out);
        return false;
      });
}

}  // namespace srp
