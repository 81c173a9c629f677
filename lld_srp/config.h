// The settings of /etc/tgt/srp.conf: a plain value, read once when the driver starts.
// driver.cpp loads it; everyone else only sees Settings. A missing file means the defaults below.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace srp {

// Where to listen. An empty address means all of them, IPv4 and IPv6.
struct Portal {
  std::string address;     // numeric, as inet_ntop writes it; with %interface where link-local
  std::uint16_t port = 0;  // never 0 in Settings: rdma_cm_port where the file gives none

  bool operator==(const Portal&) const = default;
};

// What the file says of one tgtd target, by name.
struct TargetSettings {
  std::string name;                       // as in tgtadm --targetname
  std::optional<std::uint64_t> id_ext;    // first half of the SRP target port identifier
  std::optional<std::uint64_t> ioc_guid;  // second half
};

// "10.0.0.1", "10.0.0.1:5001", "[fe80::1%eth0]:5000", "*", "*:5001"; port 0 where the text has
// none. Nothing for all other texts.
std::optional<Portal> portal_from_text(std::string_view text);

// Names and meaning are those of the kernel's ib_srpt where it has the setting. Sizes are bytes
// unless the name or the comment says otherwise.
struct Settings {
  std::uint16_t rdma_cm_port = 5000;      // RDMA/CM port of portals that name none
  std::vector<Portal> portals;            // empty: all addresses, rdma_cm_port
  std::uint32_t srp_max_req_size = 8276;  // largest IU from an initiator; 64 to 65536
  std::uint32_t srp_max_rsp_size = 320;   // largest IU to an initiator; 40 to 1024
  std::uint32_t srpt_sq_size = 1024;      // work requests in a channel's send queue; 16 to 65535
  std::uint32_t credits = 128;            // request limit of a channel; 2 to 4096
  std::uint32_t channels_max = 8;         // channels of one session; 1 to 64
  std::uint32_t sessions_max = 256;       // sessions in all; 1 to 65536
  std::uint32_t command_mib_max = 16;     // data of one command, MiB; 1 to 256
  std::uint32_t buffer_mib = 256;      // registered data memory of one device, MiB; 16 to 1048576
  std::uint32_t login_timeout_s = 30;  // from connection request to established; 1 to 600
  std::optional<std::uint64_t> srpt_service_guid;  // ioc_guid of all targets that have none
  std::vector<TargetSettings> targets;
};

// One setting the file may hold. Members of a target are called "targets[].name" and so on.
struct SettingInfo {
  std::string_view name;
  std::string_view unit;  // what an integer counts; empty: not an integer, and min = max = 0
  std::uint32_t min = 0;  // both ends belong to the range
  std::uint32_t max = 0;
  std::uint32_t default_value = 0;  // that of Settings
};

// All of them, the integers first, in the order of Settings.
std::span<const SettingInfo> known_settings();

// A mistake in the file, ready to print.
struct ConfigMistake {
  std::string where;   // file:line; the file alone where it could not be read
  std::string what;    // setting, value, what is wrong
  std::string remedy;  // what to do
};

struct ConfigResult {
  Settings settings;                    // complete defaults where there are mistakes
  std::vector<ConfigMistake> mistakes;  // empty: settings are to be used
  bool file_found = false;              // false: nothing exists at the path
};

// The path in use: the environment's TGT_SRP_CONF unless it is empty, else /etc/tgt/srp.conf.
std::string config_path();

// Reads the file at path; all mistakes in one go. A file named by TGT_SRP_CONF that does not exist
// is a mistake; a missing default file is not. @include is refused: libconfig ends the process when
// an included file cannot be read. Throws nothing but std::bad_alloc.
ConfigResult load_config(const std::string& path, bool must_exist);

}  // namespace srp
