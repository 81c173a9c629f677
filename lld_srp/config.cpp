// From libconfig++'s tree to Settings. libconfig finds the syntax; what a value means, and whether
// it may be that, is decided here. Runs once, before anything listens.
#include "lld_srp/config.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <libconfig.h++>
#include <memory>
#include <system_error>
#include <utility>

#include "lld_srp/address.h"
#include "lld_srp/config_text.h"
#include "lld_srp/limits.h"

namespace srp {
namespace {

using libconfig::Setting;

constexpr std::size_t file_bytes_max = 1 << 20;

std::optional<std::uint64_t> parse_guid(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  return guid_from_text(text);
}

// "8001" or "0x8001"; the invalid key 0 and its twin with the member bit are none.
std::optional<std::uint16_t> parse_pkey(const Setting& setting) {
  if (setting.getType() != Setting::TypeString) return std::nullopt;
  std::string_view text = setting.c_str();
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  std::uint16_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 4 || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return (value & 0x7fff) != 0 ? std::optional{value} : std::nullopt;
}

std::optional<long long> parse_decimal(std::string_view text) {
  long long value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

unsigned line_of(const Setting& root, const char* name) {
  return root.exists(name) ? root[name].getSourceLine() : 0;
}

constexpr const char* portal_remedy =
    "write \"10.0.0.1\", \"[2001:db8::1]\", \"[fe80::1%eth0]\", \"ib\" or \"*\", and behind "
    "it :port if need be";
constexpr const char* name_remedy = "write name = \"...\", as in tgtadm --targetname";

class Loader {
 public:
  Loader(const std::string& path, const std::string& text) : path_(path), text_(text) {}

  ConfigResult load() {
    libconfig::Config config;
    refuse_unparsable();
    if (mistakes_.empty()) parse(config);
    if (mistakes_.empty()) read(config.getRoot());
    if (!mistakes_.empty()) settings_ = {};
    return {std::move(settings_), std::move(mistakes_), true};
  }

 private:
  struct NamedPortal {
    std::string label;  // portals[0] = "as written"
    Portal portal;
  };

  struct NamedTarget {
    std::string label;  // targets[0]
    const Setting& group;
    TargetSettings target;
  };

  void mistake(unsigned line, std::string what, std::string remedy) {
    mistakes_.push_back({path_ + ":" + std::to_string(line), std::move(what), std::move(remedy)});
  }

  void wrong(const Setting& setting, const std::string& label, const std::string& why,
             std::string remedy) {
    mistake(setting.getSourceLine(), label + " = " + shown(text_, setting) + ": " + why,
            std::move(remedy));
  }

  // What libconfig would cut short, or end the process over.
  void refuse_unparsable() {
    unsigned line = 0;
    for (std::string_view rest = text_; !rest.empty(); rest = from_line(rest, 2)) {
      ++line;
      const std::string_view content = rest.substr(0, rest.find('\n'));
      if (content.find('\0') != content.npos) {
        mistake(line, "a zero byte in the line", "write the file as plain text");
      }
      if (skip_blanks(content).starts_with("@include")) {
        mistake(line, "@include is not supported", "write all settings into this file");
      }
    }
  }

  void parse(libconfig::Config& config) try {
    config.readString(text_ + "\n");  // libconfig refuses a comment that no newline ends
  } catch (const libconfig::ParseException& e) {
    mistake(static_cast<unsigned>(e.getLine()), e.getError(),
            "look at this line and the one before for a missing quote, bracket or semicolon");
  }

  void read(const Setting& root) {
    for (int i = 0; i < root.getLength(); ++i) read_top(root[i]);
    check_memory(root);
    check_receives(root);
    check_portals(root);
    check_targets();
  }

  void read_top(const Setting& setting) {
    const std::string_view name = setting.getName();
    for (const ScalarSetting& known : scalar_settings()) {
      if (known.info.name != name) continue;
      return known.info.is_boolean() ? read_boolean(setting, known) : read_integer(setting, known);
    }
    if (name == "portals") {
      read_portals(setting);
    } else if (name == "targets") {
      read_targets(setting);
    } else if (name == "srpt_service_guid") {
      read_guid(setting, "", settings_.srpt_service_guid);
    } else {
      refuse_unknown(setting, "", "");
    }
  }

  void refuse_unknown(const Setting& setting, std::string_view group, const std::string& label) {
    const std::string nearest{nearest_setting(group, setting.getName())};
    wrong(setting, label + setting.getName(), "unknown setting",
          nearest.empty() ? "remove it" : "write " + nearest + " if that is meant, or remove it");
  }

  void read_boolean(const Setting& setting, const ScalarSetting& known) {
    if (setting.getType() == Setting::TypeBoolean) {
      return known.assign(settings_, static_cast<bool>(setting));
    }
    wrong(setting, std::string{known.info.name}, "not a boolean",
          "write " + range_text(known.info) + ", without quotes; the default is " +
              value_text(known.info, known.info.default_value));
  }

  void read_integer(const Setting& setting, const ScalarSetting& known) {
    const SettingInfo& info = known.info;
    const std::string name{info.name};
    const std::string remedy =
        "write " + range_text(info) + "; the default is " + value_text(info, info.default_value);
    const bool is_int = setting.getType() == Setting::TypeInt;
    if (!is_int && setting.getType() != Setting::TypeInt64) {
      return wrong(setting, name, "not an integer", remedy);
    }
    const auto number = parse_decimal(written(text_, setting));
    const long long kept = is_int ? static_cast<int>(setting) : static_cast<long long>(setting);
    if (!number || static_cast<int>(*number) != static_cast<int>(kept)) {
      return wrong(setting, name, "not a plain decimal integer", remedy);
    }
    if (*number < info.min || *number > info.max) {
      return wrong(setting, name, "out of range", remedy);
    }
    known.assign(settings_, static_cast<std::uint32_t>(*number));
  }

  void read_guid(const Setting& setting, const std::string& label,
                 std::optional<std::uint64_t>& guid) {
    const std::string name = label + setting.getName();
    const std::string remedy = std::string{"write "} + setting.getName() +
                               " = \"0002c90300a1b2c3\", in quotes and with your own digits";
    if (setting.getType() == Setting::TypeString) guid = parse_guid(setting.c_str());
    if (!guid) wrong(setting, name, "not a string of 16 hexadecimal digits", remedy);
  }

  void read_portals(const Setting& setting) {
    if (setting.getType() != Setting::TypeArray) {
      return wrong(setting, "portals", "not an array",
                   "write portals = [ \"10.0.0.1\", \"[2001:db8::1]:5000\" ]");
    }
    for (int i = 0; i < setting.getLength(); ++i) {
      const Setting& element = setting[i];
      const std::string label = "portals[" + std::to_string(i) + "] = " + shown(text_, element);
      // The line of an element is that of whatever follows it, so the array's is named.
      const ParsedPortal parsed = element.getType() == Setting::TypeString
                                      ? parse_portal(element.c_str())
                                      : ParsedPortal{{}, "not a string"};
      if (!parsed.wrong) {
        portals_.push_back({label, parsed.portal});
      } else {
        mistake(setting.getSourceLine(), label + ": " + parsed.wrong, portal_remedy);
      }
    }
  }

  void read_targets(const Setting& setting) {
    if (setting.getType() != Setting::TypeList) {
      return wrong(setting, "targets", "not a list of groups",
                   "write targets = ( { name = \"...\"; }, { name = \"...\"; } )");
    }
    for (int i = 0; i < setting.getLength(); ++i) {
      const std::string label = "targets[" + std::to_string(i) + "]";
      if (setting[i].getType() == Setting::TypeGroup) {
        read_target(setting[i], label);
      } else {
        mistake(setting.getSourceLine(), label + " = " + shown(text_, setting[i]) + ": not a group",
                "write { name = \"...\"; }");
      }
    }
  }

  void read_target(const Setting& group, const std::string& label) {
    NamedTarget named{label, group, {}};
    for (int i = 0; i < group.getLength(); ++i) {
      const Setting& setting = group[i];
      const std::string_view name = setting.getName();
      if (name == "name") {
        read_name(setting, label + ".name", named.target.name);
      } else if (name == "id_ext") {
        read_guid(setting, label + ".", named.target.id_ext);
      } else if (name == "ioc_guid") {
        read_guid(setting, label + ".", named.target.ioc_guid);
      } else if (name == "pkeys") {
        read_pkeys(setting, label + ".pkeys", named.target.pkeys);
      } else {
        refuse_unknown(setting, "targets[].", label + ".");
      }
    }
    if (!group.exists("name")) {
      mistake(group.getSourceLine(), label + ".name: missing", name_remedy);
    }
    targets_.push_back(std::move(named));
  }

  void read_pkeys(const Setting& setting, const std::string& label,
                  std::vector<std::uint16_t>& pkeys) {
    constexpr const char* remedy = "write [ \"8001\", \"ffff\" ]: four hexadecimal digits each";
    if (!setting.isArray() && !setting.isList()) {
      return wrong(setting, label, "not a list of partition keys", remedy);
    }
    for (int i = 0; i < setting.getLength(); ++i) {
      const auto pkey = parse_pkey(setting[i]);
      if (pkey) {
        pkeys.push_back(*pkey);
      } else {
        wrong(setting[i], label + "[" + std::to_string(i) + "]", "not a partition key", remedy);
      }
    }
  }

  void read_name(const Setting& setting, const std::string& label, std::string& name) {
    if (setting.getType() == Setting::TypeString) name = setting.c_str();
    if (name.empty()) wrong(setting, label, "not a name in quotes", name_remedy);
  }

  void check_memory(const Setting& root) {
    if (settings_.buffer_mib >= std::bit_ceil(settings_.command_mib_max)) return;
    mistake(std::max(line_of(root, "buffer_mib"), line_of(root, "command_mib_max")),
            "buffer_mib = " + std::to_string(settings_.buffer_mib) +
                ": less than command_mib_max = " + std::to_string(settings_.command_mib_max),
            "raise it to the power of two that holds command_mib_max (MiB), or lower that");
  }

  // The first channel alone must find room for all that it grants.
  void check_receives(const Setting& root) {
    const std::uint32_t needed = settings_.credits + uncredited_receives;
    if (!settings_.use_srq || settings_.srpt_srq_size >= needed) return;
    mistake(std::max({line_of(root, "use_srq"), line_of(root, "srpt_srq_size"),
                      line_of(root, "credits")}),
            "srpt_srq_size = " + std::to_string(settings_.srpt_srq_size) + ": one channel with " +
                "credits = " + std::to_string(settings_.credits) + " needs " +
                std::to_string(needed) + " receives",
            "raise it to " + std::to_string(needed) +
                " for each channel that is to be busy, or lower credits, or write use_srq = false");
  }

  // The RDMA connection manager gives an address and port to one listener; * is every address.
  void check_portals(const Setting& root) {
    for (NamedPortal& named : portals_) {
      Portal& portal = named.portal;
      if (portal.port == 0) portal.port = settings_.rdma_cm_port;
      const auto covers = [&portal](const Portal& other) {
        return other.port == portal.port &&
               (other.address == portal.address || other.address.empty() || portal.address.empty());
      };
      if (std::ranges::any_of(settings_.portals, covers)) {
        mistake(line_of(root, "portals"), named.label + ": an earlier portal covers this one",
                "remove one of the two, or give it another port");
      }
      settings_.portals.push_back(portal);
    }
  }

  void check_targets() {
    for (auto later = targets_.begin(); later != targets_.end(); ++later) {
      for (auto earlier = targets_.begin(); earlier != later; ++earlier) {
        check_pair(*earlier, *later);
      }
      settings_.targets.push_back(later->target);
    }
  }

  void check_pair(const NamedTarget& earlier, const NamedTarget& later) {
    if (!later.target.name.empty() && earlier.target.name == later.target.name) {
      const std::string why = "the name of " + earlier.label + " too";
      wrong(later.group["name"], later.label + ".name", why, "give every target its own group");
    }
  }

  const std::string& path_;
  const std::string& text_;
  Settings settings_;
  std::vector<ConfigMistake> mistakes_;
  std::vector<NamedPortal> portals_;
  std::vector<NamedTarget> targets_;
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// 0, or the errno of what failed.
int read_file(const std::string& path, std::string& text) {
  const std::unique_ptr<std::FILE, FileCloser> file{std::fopen(path.c_str(), "re")};
  if (!file) return errno;
  std::array<char, 4096> block;
  while (const auto bytes = std::fread(block.data(), 1, block.size(), file.get())) {
    text.append(block.data(), bytes);
    if (text.size() > file_bytes_max) return EFBIG;
  }
  return std::ferror(file.get()) ? errno : 0;
}

}  // namespace

std::string config_path() {
  const char* const path = std::getenv("TGT_SRP_CONF");
  return path && *path ? path : "/etc/tgt/srp.conf";
}

ConfigResult load_config(const std::string& path, bool must_exist) {
  std::string text;
  const int error = read_file(path, text);
  if (error == 0) return Loader{path, text}.load();
  const bool missing = error == ENOENT;
  if (missing && !must_exist) return {};
  const std::string what = "cannot be read: " + std::generic_category().message(error);
  return {{}, {{path, what, "make it a readable file, or correct TGT_SRP_CONF"}}, !missing};
}

}  // namespace srp
