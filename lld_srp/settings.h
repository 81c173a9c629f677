// The settings of the driver: a plain value, and what may stand in it. config.cpp fills it from
// /etc/tgt/srp.conf; everyone else only sees Settings.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lld_srp/portal.h"

namespace srp {

// What the file says of one tgtd target, by name.
struct TargetSettings {
  std::string name;                       // as in tgtadm --targetname
  std::optional<std::uint64_t> id_ext;    // first half of the SRP target port identifier
  std::optional<std::uint64_t> ioc_guid;  // second half
  std::vector<std::uint16_t> pkeys;       // partitions it may be reached in; empty: all
};

// Names and meaning are those of the kernel's ib_srpt where it has the setting. Sizes are bytes
// unless the name or the comment says otherwise.
struct Settings {
  std::uint16_t rdma_cm_port = 5000;          // RDMA/CM port of portals that name none
  std::vector<Portal> portals;                // empty: all addresses, rdma_cm_port
  std::uint32_t srp_max_req_size = 8276;      // largest IU from an initiator; 64 to 65536
  std::uint32_t srp_max_rsp_size = 320;       // largest IU to an initiator; 40 to 1024
  std::uint32_t srp_max_rdma_size = 1 << 20;  // longest RDMA READ or WRITE; 4096 to 16777216
  std::uint32_t srpt_sq_size = 1024;   // work requests in a channel's send queue; 16 to 65535
  bool use_srq = false;                // receives belong to the device, not to each channel
  std::uint32_t srpt_srq_size = 4095;  // receives of a device that shares them; 4 to 65535
  std::uint32_t credits = 128;         // request limit of a channel; 2 to 4096
  std::uint32_t channels_max = 8;      // channels of one session; 1 to 64
  std::uint32_t sessions_max = 256;    // sessions in all; 1 to 65536
  std::uint32_t logins_max = 64;       // logins under way at once; 1 to 65536
  std::uint32_t regroup_s = 600;       // before an initiator may see another target; 0 to 86400
  std::uint32_t command_mib_max = 16;  // data of one command, MiB; 1 to 256
  std::uint32_t buffer_mib = 256;      // registered data memory of one device, MiB; 16 to 1048576
  bool immediate_data = true;          // granted to initiators that ask for it
  std::uint32_t login_timeout_s = 30;  // from connection request to established; 1 to 600
  std::uint32_t keepalive_s = 30;      // an idle channel is asked this often; 1 to 3600
  std::uint32_t rnr_timer = 12;        // before a send is repeated, IBTA code; 0 to 31
  bool t_logout = false;               // SRP_T_LOGOUT goes before a channel that we close
  bool rev10_port_ids = false;         // port identifiers with the GUID first are taken as well
  std::uint32_t trace_flag = 0;        // bits of plugin_api/log.h's Trace
  std::optional<std::uint64_t> srpt_service_guid;  // ioc_guid of all targets that have none
  bool srpt_port_names = false;      // targets with the name of a port are served by that port only
  bool unique_scsi_ids = true;       // units have identifiers that no other host's have
  bool requests_without_lld = true;  // tgtadm's requests about our targets are ours in any case
  std::vector<TargetSettings> targets;
};

// One setting the file may hold. Members of a target are called "targets[].name" and so on.
struct SettingInfo {
  std::string_view name;
  std::string_view unit;  // what an integer counts, or "boolean"; empty: neither, min = max = 0
  std::uint32_t min = 0;  // both ends belong to the range
  std::uint32_t max = 0;
  std::uint32_t default_value = 0;  // that of Settings
  bool at_run_time = false;         // may change while tgtd runs; logins from then on have it

  [[nodiscard]] constexpr bool is_boolean() const { return unit == "boolean"; }
};

// A setting that is one integer or boolean, and where its value belongs.
struct ScalarSetting {
  SettingInfo info;
  void (*assign)(Settings&, std::uint32_t);  // the value is within the range
  std::uint32_t (*value)(const Settings&);
};

// In the order of Settings.
std::span<const ScalarSetting> scalar_settings();
// All of them: the scalars first, then the others.
std::span<const SettingInfo> known_settings();
// What text says, an integer or a boolean as info wants it (true, false, on, off, yes, no, 1, 0);
// nothing where it is neither or not in the range.
std::optional<std::uint32_t> value_from_text(const SettingInfo& info, std::string_view text);
// "an integer from 2 to 4096 (requests)" or "true or false".
std::string range_text(const SettingInfo& info);
// "true", "false" or the number.
std::string value_text(const SettingInfo& info, std::uint32_t value);

// The known setting of this group ("" or "targets[].") most like name; empty where none is.
std::string_view nearest_setting(std::string_view group, std::string_view name);

}  // namespace srp
