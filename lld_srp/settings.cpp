#include "lld_srp/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <type_traits>

#include "plugin_api/log.h"

namespace srp {
namespace {

enum class Applies : bool { at_start, at_run_time };
using enum Applies;

template <auto Member>
ScalarSetting scalar(std::string_view name, std::string_view unit, std::uint32_t min,
                     std::uint32_t max, Applies applies) {
  return {{name, unit, min, max, Settings{}.*Member, applies == at_run_time},
          [](Settings& settings, std::uint32_t value) {
            using Value = std::remove_reference_t<decltype(settings.*Member)>;
            settings.*Member = static_cast<Value>(value);  // max is within the member's type
          },
          [](const Settings& settings) { return std::uint32_t{settings.*Member}; }};
}

template <auto Member>
ScalarSetting boolean(std::string_view name, Applies applies) {
  return scalar<Member>(name, "boolean", 0, 1, applies);
}

constexpr std::string_view other_settings[] = {
    "portals",          "srpt_service_guid",  "targets",        "targets[].name",
    "targets[].id_ext", "targets[].ioc_guid", "targets[].pkeys"};

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (const char letter : from) {
    std::size_t diagonal = row[0]++;
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::size_t replaced = diagonal + (letter == to[i] ? 0 : 1);
      diagonal = row[i + 1];
      row[i + 1] = std::min({replaced, row[i] + 1, row[i + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::span<const ScalarSetting> scalar_settings() {
  using S = Settings;
  static const std::array table{
      scalar<&S::rdma_cm_port>("rdma_cm_port", "port", 1, 65535, at_start),
      scalar<&S::srp_max_req_size>("srp_max_req_size", "bytes", 64, 65536, at_run_time),
      scalar<&S::srp_max_rsp_size>("srp_max_rsp_size", "bytes", 40, 1024, at_run_time),
      scalar<&S::srp_max_rdma_size>("srp_max_rdma_size", "bytes", 4096, 1 << 24, at_run_time),
      scalar<&S::srpt_sq_size>("srpt_sq_size", "work requests", 16, 65535, at_run_time),
      boolean<&S::use_srq>("use_srq", at_start),
      scalar<&S::srpt_srq_size>("srpt_srq_size", "receives", 4, 65535, at_start),
      scalar<&S::credits>("credits", "requests", 2, 4096, at_run_time),
      scalar<&S::channels_max>("channels_max", "channels", 1, 64, at_run_time),
      scalar<&S::sessions_max>("sessions_max", "sessions", 1, 65536, at_run_time),
      scalar<&S::logins_max>("logins_max", "logins", 1, 65536, at_run_time),
      scalar<&S::regroup_s>("regroup_s", "seconds", 0, 86400, at_run_time),
      scalar<&S::command_mib_max>("command_mib_max", "MiB", 1, 256, at_start),
      scalar<&S::buffer_mib>("buffer_mib", "MiB", 16, 1048576, at_start),
      boolean<&S::immediate_data>("immediate_data", at_run_time),
      scalar<&S::login_timeout_s>("login_timeout_s", "seconds", 1, 600, at_run_time),
      scalar<&S::keepalive_s>("keepalive_s", "seconds", 1, 3600, at_run_time),
      scalar<&S::rnr_timer>("rnr_timer", "IBTA code", 0, 31, at_run_time),
      boolean<&S::t_logout>("t_logout", at_run_time),
      boolean<&S::rev10_port_ids>("rev10_port_ids", at_run_time),
      boolean<&S::srpt_port_names>("srpt_port_names", at_start),
      boolean<&S::unique_scsi_ids>("unique_scsi_ids", at_start),
      boolean<&S::requests_without_lld>("requests_without_lld", at_run_time),
      scalar<&S::trace_flag>("trace_flag", "bit mask", 0, trace_flags_all, at_run_time),
  };
  return table;
}

std::span<const SettingInfo> known_settings() {
  static const std::vector<SettingInfo> all = [] {
    std::vector<SettingInfo> infos;
    for (const ScalarSetting& known : scalar_settings()) infos.push_back(known.info);
    for (const std::string_view name : other_settings) infos.push_back({name, ""});
    return infos;
  }();
  return all;
}

std::optional<std::uint32_t> value_from_text(const SettingInfo& info, std::string_view text) {
  if (info.is_boolean()) {
    for (const std::string_view yes : {"true", "on", "yes", "1"}) {
      if (text == yes) return 1;
    }
    for (const std::string_view no : {"false", "off", "no", "0"}) {
      if (text == no) return 0;
    }
    return std::nullopt;
  }
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  if (!whole || value < info.min || value > info.max) return std::nullopt;
  return value;
}

std::string range_text(const SettingInfo& info) {
  if (info.is_boolean()) return "true or false";
  return "an integer from " + std::to_string(info.min) + " to " + std::to_string(info.max) + " (" +
         std::string{info.unit} + ")";
}

std::string value_text(const SettingInfo& info, std::uint32_t value) {
  if (info.is_boolean()) return value != 0 ? "true" : "false";
  return std::to_string(value);
}

std::string_view nearest_setting(std::string_view group, std::string_view name) {
  std::string_view nearest;
  std::size_t distance = name.npos;
  for (const SettingInfo& known : known_settings()) {
    if (!known.name.starts_with(group)) continue;
    const std::string_view candidate = known.name.substr(group.size());
    if (candidate.find('.') != candidate.npos) continue;  // of another group
    const std::size_t here = edit_distance(name, candidate);
    if (here > std::max(name.size(), candidate.size()) / 2) continue;  // another word altogether
    if (here < distance) nearest = candidate, distance = here;
  }
  return nearest;
}

}  // namespace srp
