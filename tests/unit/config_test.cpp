// srp.conf to Settings: what is accepted, and that every mistake is told with place and remedy.
#include "lld_srp/config.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/unit/config_fixture.h"

using srp::ConfigResult;
using srp::SettingInfo;
using srp::Settings;
using srp::test::contains;
using srp::test::number;

namespace {

// An integer or boolean setting as the example file and a test can compare it.
std::uint32_t value_of(const Settings& settings, std::string_view name) {
  if (name == "rdma_cm_port") return settings.rdma_cm_port;
  if (name == "srp_max_req_size") return settings.srp_max_req_size;
  if (name == "srp_max_rsp_size") return settings.srp_max_rsp_size;
  if (name == "srp_max_rdma_size") return settings.srp_max_rdma_size;
  if (name == "srpt_sq_size") return settings.srpt_sq_size;
  if (name == "use_srq") return settings.use_srq;
  if (name == "srpt_srq_size") return settings.srpt_srq_size;
  if (name == "credits") return settings.credits;
  if (name == "channels_max") return settings.channels_max;
  if (name == "sessions_max") return settings.sessions_max;
  if (name == "command_mib_max") return settings.command_mib_max;
  if (name == "buffer_mib") return settings.buffer_mib;
  if (name == "immediate_data") return settings.immediate_data;
  if (name == "login_timeout_s") return settings.login_timeout_s;
  if (name == "keepalive_s") return settings.keepalive_s;
  if (name == "rnr_timer") return settings.rnr_timer;
  if (name == "t_logout") return settings.t_logout;
  if (name == "rev10_port_ids") return settings.rev10_port_ids;
  if (name == "trace_flag") return settings.trace_flag;
  if (name == "logins_max") return settings.logins_max;
  if (name == "regroup_s") return settings.regroup_s;
  if (name == "srpt_port_names") return settings.srpt_port_names;
  if (name == "unique_scsi_ids") return settings.unique_scsi_ids;
  if (name == "requests_without_lld") return settings.requests_without_lld;
  FAIL("a setting this test does not know");
  return 0;
}

// The example file with the markers of its settings removed; its prose starts with "# " and a word.
std::string uncommented_example() {
  std::ifstream file{TGT_SRP_SOURCE_DIR "/conf/srp.conf.example"};
  CHECK(file.is_open());
  std::ostringstream text;
  for (std::string line; std::getline(file, line); text << '\n') {
    const bool prose = line.size() > 2 && line[1] == ' ' && line[2] != ' ';
    if (line.starts_with('#') && !prose) line.erase(0, 1);
    text << line;
  }
  return text.str();
}

// The comment above a setting of the example, back to the empty line before it.
std::string prose_above(const std::string& text, const std::string& name) {
  const auto at = text.find("\n" + name + " = ");
  CHECK_TEXT(at != text.npos, name.c_str());
  return text.substr(text.rfind("\n\n", at) + 2, at - text.rfind("\n\n", at));
}

}  // namespace

TEST_GROUP_BASE(Config, srp::test::ConfigTest){};

TEST(Config, config_path__is_the_environments_unless_empty) {
  unsetenv("TGT_SRP_CONF");
  CHECK_EQUAL(std::string{"/etc/tgt/srp.conf"}, srp::config_path());
  setenv("TGT_SRP_CONF", "", 1);
  CHECK_EQUAL(std::string{"/etc/tgt/srp.conf"}, srp::config_path());
  setenv("TGT_SRP_CONF", "/elsewhere/srp.conf", 1);
  CHECK_EQUAL(std::string{"/elsewhere/srp.conf"}, srp::config_path());
  unsetenv("TGT_SRP_CONF");
}

TEST(Config, load_config__takes_a_missing_default_file_as_defaults) {
  const ConfigResult result = srp::load_config(path, false);
  CHECK_FALSE(result.file_found);
  CHECK(result.mistakes.empty());
  CHECK_EQUAL(Settings{}.credits, result.settings.credits);
}

TEST(Config, load_config__reports_a_missing_named_file) {
  const ConfigResult result = srp::load_config(path, true);
  CHECK_FALSE(result.file_found);
  CHECK_EQUAL(1u, result.mistakes.size());
  CHECK_EQUAL(path, result.mistakes[0].where);
  CHECK_EQUAL(std::string{"cannot be read: No such file or directory"}, result.mistakes[0].what);
  CHECK(contains(result.mistakes[0].remedy, "TGT_SRP_CONF"));
}

TEST(Config, load_config__reports_a_file_that_cannot_be_read) {
  const ConfigResult folder_instead = srp::load_config(folder, false);
  CHECK(folder_instead.file_found);
  CHECK_EQUAL(1u, folder_instead.mistakes.size());
  CHECK_EQUAL(std::string{"cannot be read: Is a directory"}, folder_instead.mistakes[0].what);

  CHECK_EQUAL(0, symlink("srp.conf", path.c_str()));
  const ConfigResult loop = srp::load_config(path, false);
  CHECK_EQUAL(1u, loop.mistakes.size());
  CHECK(contains(loop.mistakes[0].what, "Too many levels of symbolic links"));
}

TEST(Config, load_config__reports_a_file_too_large) {
  const std::string largest(1 << 20, '\n');
  good(largest);
  const ConfigResult result = load(largest + "\n");
  CHECK_EQUAL(1u, result.mistakes.size());
  CHECK_EQUAL(std::string{"cannot be read: File too large"}, result.mistakes[0].what);
}

TEST(Config, load_config__takes_an_empty_file_as_defaults) {
  const ConfigResult result = load("");
  CHECK(result.file_found);
  CHECK(result.mistakes.empty());
  for (const SettingInfo& info : srp::known_settings()) {
    if (info.max != 0) CHECK_EQUAL(info.default_value, value_of(result.settings, info.name));
  }
  CHECK(result.settings.portals.empty());
  CHECK(result.settings.targets.empty());
  CHECK_FALSE(result.settings.srpt_service_guid.has_value());
}

TEST(Config, scalar__is_accepted_up_to_both_ends_and_lands_in_its_member) {
  for (const SettingInfo& info : srp::known_settings()) {
    const std::string name{info.name};
    for (const std::uint32_t end : {info.min, info.max}) {
      if (info.max == 0) continue;
      const Settings settings = good(name + " = " + srp::value_text(info, end) + "; ");
      CHECK_EQUAL_TEXT(end, value_of(settings, name), name.c_str());
      for (const SettingInfo& other : srp::known_settings()) {
        if (other.max == 0 || other.name == name) continue;
        CHECK_EQUAL_TEXT(other.default_value, value_of(settings, other.name), name.c_str());
      }
    }
  }
}

TEST(Config, integer__beyond_its_range_is_refused_with_range_and_unit) {
  for (const SettingInfo& info : srp::known_settings()) {
    if (info.max == 0 || info.is_boolean()) continue;
    const std::string name{info.name};
    for (const long long value : {info.min - 1LL, info.max + 1LL, -1LL, 0x100000000LL + info.min}) {
      const std::string written = name + " = " + number(value);
      CHECK_EQUAL("write an integer from " + number(info.min) + " to " + number(info.max) + " (" +
                      std::string{info.unit} + "); the default is " + number(info.default_value),
                  only_mistake("\n" + written + ";", 2, written + ": out of range"));
    }
  }
}

TEST(Config, integer__of_another_type_is_refused) {
  const struct {
    const char* value;
    const char* why;
  } rows[] = {
      {"\"128\"", "not an integer"},
      {"128.0", "not an integer"},
      {"true", "not an integer"},
      {"0x80", "not a plain decimal integer"},
      {"0x100000080", "not a plain decimal integer"},
      {"128L", "not a plain decimal integer"},
      {"99999999999999999999", "not a plain decimal integer"},
      {"{...}", "not an integer"},
      {"[...]", "not an integer"},
      {"(...)", "not an integer"},
  };
  for (const auto& row : rows) {
    std::string value = row.value;
    if (const auto dots = value.find("..."); dots != value.npos) value.erase(dots, 3);
    only_mistake("credits = " + value + ";", 1,
                 std::string{"credits = "} + row.value + ": " + row.why);
  }
}

TEST(Config, boolean__is_accepted_in_libconfigs_spellings) {
  for (const char* const text : {"true", "True", "TRUE"}) {
    CHECK_TRUE_TEXT(good(std::string{"use_srq = "} + text + ";").use_srq, text);
  }
  CHECK_FALSE(good("immediate_data=false").immediate_data);
}

TEST(Config, boolean__of_another_type_is_refused) {
  const std::string off = "write true or false, without quotes; the default is false";
  const std::string on = "write true or false, without quotes; the default is true";
  for (const char* const value : {"1", "0", "\"true\"", "1.0"}) {
    const std::string setting = std::string{"use_srq = "} + value;
    CHECK_EQUAL(off, only_mistake(setting + ";", 1, setting + ": not a boolean"));
  }
  CHECK_EQUAL(
      on, only_mistake("\nimmediate_data = [ true ];", 2, "immediate_data = [...]: not a boolean"));
  only_mistake("t_logout = yes;", 1, "syntax error");
}

TEST(Config, integer__is_found_however_the_file_is_laid_out) {
  const char* const texts[] = {
      "credits=64",
      "credits:64;",
      "  credits\t=\r\n\n 64 ;",
      "credits = 64; # credits = 65 would do",
      "credits = 64// enough",
      "credits = 64/* enough */;",
      "credits = 64#",
      "credits = 64,",
      "# credits\n/* many\n lines */ credits = 64;\n",
      "sessions_max = 9; credits = 64; channels_max = 7;",
  };
  for (const char* const text : texts) {
    CHECK_EQUAL_TEXT(64u, good(text).credits, text);
  }
}

TEST(Config, integer__that_is_not_plain_to_see_is_refused) {
  only_mistake("credits /* a */ = 64;", 1, "credits = ...: not a plain decimal integer");
  only_mistake("/* credits = 5 */ credits = 64;", 1, "credits = 5: not a plain decimal integer");
  // A name that only ends like the setting's is another one.
  const ConfigResult result = load("xcredits = 5; credits = 64;");
  CHECK_EQUAL(1u, result.mistakes.size());
  CHECK_EQUAL(std::string{"xcredits = 5: unknown setting"}, result.mistakes[0].what);
}

TEST(Config, unknown_setting__offers_the_nearest_known_name) {
  const struct {
    const char* name;
    const char* nearest;  // empty: none is near
  } rows[] = {
      {"credit", "credits"},
      {"Credits", "credits"},
      {"sq_size", "srpt_sq_size"},
      {"srp_max_resp_size", "srp_max_rsp_size"},
      {"srp_max_requ_size", "srp_max_req_size"},
      {"portal", "portals"},
      {"target", "targets"},
      {"buffers_mib", "buffer_mib"},
      {"service_guid", "srpt_service_guid"},
      {"x", ""},
      {"compression_algorithm_to_use", ""},
  };
  for (const auto& row : rows) {
    const std::string nearest = row.nearest;
    CHECK_EQUAL_TEXT(
        nearest.empty() ? "remove it" : "write " + nearest + " if that is meant, or remove it",
        only_mistake(std::string{row.name} + " = 1;", 1,
                     row.name + std::string{" = 1: unknown setting"}),
        row.name);
  }
}

TEST(Config, unknown_setting__in_a_target_offers_a_targets_names) {
  CHECK_EQUAL(std::string{"write ioc_guid if that is meant, or remove it"},
              only_mistake("targets = ( { name = \"a\";\n ioc_gid = \"1\"; } );", 2,
                           "targets[0].ioc_gid = \"1\": unknown setting"));
  CHECK_EQUAL(std::string{"remove it"},
              only_mistake("targets = ( { name = \"a\"; credits = 2; } );", 1,
                           "targets[0].credits = 2: unknown setting"));
}

TEST(Config, unknown_setting__outside_a_target_is_offered_no_targets_name) {
  const std::string remedy = only_mistake("id_ext = 1;", 1, "id_ext = 1: unknown setting");
  CHECK_FALSE(contains(remedy, "id_ext"));
  CHECK_FALSE(contains(remedy, "[]"));
}

TEST(Config, value__is_shown_on_one_short_line) {
  only_mistake("x = \"a\nb\\t\x7f\";", 1, "x = \"a?b??\": unknown setting");
  only_mistake("x = \" ~\";", 1, "x = \" ~\": unknown setting");
  const std::string fits(100, 'a');
  only_mistake("x = \"" + fits + "\";", 1, "x = \"" + fits + "\": unknown setting");
  only_mistake("x = \"" + fits + "b\";", 1, "x = \"" + fits + "...\": unknown setting");
  only_mistake("x = " + std::string(101, '1') + ";", 1,
               "x = " + std::string(100, '1') + ": unknown setting");
}

TEST(Config, buffer_mib__holds_a_command) {
  const std::string what = "buffer_mib = 16: less than command_mib_max = 17";
  only_mistake("buffer_mib = 16;\ncommand_mib_max = 17;", 2, what);
  CHECK(contains(only_mistake("command_mib_max = 17;\n\nbuffer_mib = 16;", 3, what), "MiB"));
  // Memory comes in powers of two.
  only_mistake("buffer_mib = 31;\ncommand_mib_max = 17;", 2,
               "buffer_mib = 31: less than command_mib_max = 17");
  CHECK_EQUAL(32u, good("buffer_mib = 32; command_mib_max = 17;").buffer_mib);
}

TEST(Config, srpt_srq_size__holds_the_receives_of_a_channel) {
  const std::string what = "srpt_srq_size = 131: one channel with credits = 128 needs 132 receives";
  const std::string remedy = only_mistake("use_srq = true;\nsrpt_srq_size = 131;", 2, what);
  CHECK(contains(remedy, "raise it to 132") && contains(remedy, "use_srq = false"));
  only_mistake("srpt_srq_size = 131;\n\nuse_srq = true;", 3, what);
  only_mistake("use_srq = true;\n\n\ncredits = 4096;", 4,
               "srpt_srq_size = 4095: one channel with credits = 4096 needs 4100 receives");
  CHECK_EQUAL(132u, good("use_srq = true; srpt_srq_size = 132;").srpt_srq_size);
  CHECK_EQUAL(4u, good("use_srq = false; srpt_srq_size = 4;").srpt_srq_size);
}

TEST(Config, syntax__is_reported_with_its_line) {
  CHECK(contains(only_mistake("credits = 2;\nx y;", 2, "syntax error"), "semicolon"));
  only_mistake("credits = 2;\ncredits = 3;", 2, "duplicate setting name");
}

TEST(Config, syntax__that_libconfig_cannot_survive_is_refused) {
  only_mistake("\n \t@include \"/\"\n", 2, "@include is not supported");
  only_mistake(std::string{"credits = 2;\n\0x = 1;", 20}, 2, "a zero byte in the line");
  good("# @include \"/\"\n");
}

TEST(Config, mistakes__come_all_at_once_in_the_order_of_the_file_and_leave_the_defaults) {
  const ConfigResult result = load(
      "sessions_max = 7;\n"
      "credit = 5;\n"
      "credits = 1;\n"
      "portals = [ \"10.0.0.1\", \"nowhere\", \"elsewhere\" ];\n"
      "srpt_service_guid = \"0002c90300a1b2c3\";\n"
      "targets = (\n"
      "  { name = \"a\"; },\n"
      "  { name = \"a\"; id_ext = \"x\"; ioc = 1; }\n"
      ");\n");
  const unsigned lines[] = {2, 3, 4, 4, 8, 8, 8};
  CHECK_EQUAL(std::size(lines), result.mistakes.size());
  for (std::size_t i = 0; i < std::size(lines); ++i) {
    CHECK_EQUAL(path + ":" + number(lines[i]), result.mistakes[i].where);
  }
  CHECK(result.file_found);
  CHECK_EQUAL(256u, result.settings.sessions_max);
  CHECK(result.settings.portals.empty());
  CHECK(result.settings.targets.empty());
  CHECK_FALSE(result.settings.srpt_service_guid.has_value());
}

TEST(Config, example__shows_every_setting_at_its_default_with_range) {
  const std::string text = uncommented_example();
  const Settings settings = good(text);
  for (const SettingInfo& info : srp::known_settings()) {
    const std::string name{info.name.substr(info.name.find('.') + 1)};
    CHECK_TEXT(contains(text, name + " = "), name.c_str());
    if (info.max == 0) continue;
    CHECK_EQUAL_TEXT(info.default_value, value_of(settings, name), name.c_str());
    if (info.is_boolean()) {
      CHECK_TEXT(contains(text, name + " = " + srp::value_text(info, info.default_value) + ";"),
                 name.c_str());
      CHECK_TEXT(contains(prose_above(text, name), "# true: "), name.c_str());
      continue;
    }
    const std::string prose = prose_above(text, name);
    CHECK_TEXT(contains(prose, number(info.min) + " to " + number(info.max)), name.c_str());
    if (info.unit == "MiB" || info.unit == "bytes" || info.unit == "seconds") {
      CHECK_TEXT(contains(prose, ", " + std::string{info.unit} + ". " + number(info.min) + " to "),
                 name.c_str());
    }
  }
  CHECK_EQUAL(1u, settings.targets.size());
  CHECK(settings.targets[0].id_ext && settings.targets[0].ioc_guid && settings.srpt_service_guid);
}

TEST(Config, example__as_installed_changes_nothing) {
  const ConfigResult result = srp::load_config(TGT_SRP_SOURCE_DIR "/conf/srp.conf.example", true);
  CHECK(result.file_found && result.mistakes.empty());
  CHECK(result.settings.targets.empty() && !result.settings.srpt_service_guid);
}
