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

// An integer setting as the example file and a test can compare it.
std::uint32_t value_of(const Settings& settings, std::string_view name) {
  if (name == "rdma_cm_port") return settings.rdma_cm_port;
  if (name == "srp_max_req_size") return settings.srp_max_req_size;
  if (name == "srp_max_rsp_size") return settings.srp_max_rsp_size;
  if (name == "srpt_sq_size") return settings.srpt_sq_size;
  if (name == "credits") return settings.credits;
  if (name == "channels_max") return settings.channels_max;
  if (name == "sessions_max") return settings.sessions_max;
  if (name == "command_mib_max") return settings.command_mib_max;
  if (name == "buffer_mib") return settings.buffer_mib;
  if (name == "login_timeout_s") return settings.login_timeout_s;
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

TEST(Config, known_settings__have_these_ranges) {
  const SettingInfo expected[] = {
      {"rdma_cm_port", "port", 1, 65535, 5000},
      {"srp_max_req_size", "bytes", 64, 65536, 8276},
      {"srp_max_rsp_size", "bytes", 40, 1024, 320},
      {"srpt_sq_size", "work requests", 16, 65535, 1024},
      {"credits", "requests", 2, 4096, 128},
      {"channels_max", "channels", 1, 64, 8},
      {"sessions_max", "sessions", 1, 65536, 256},
      {"command_mib_max", "MiB", 1, 256, 16},
      {"buffer_mib", "MiB", 16, 1048576, 256},
      {"login_timeout_s", "seconds", 1, 600, 30},
      {"portals", ""},
      {"srpt_service_guid", ""},
      {"targets", ""},
      {"targets[].name", ""},
      {"targets[].id_ext", ""},
      {"targets[].ioc_guid", ""},
  };
  const auto known = srp::known_settings();
  CHECK_EQUAL(std::size(expected), known.size());
  for (std::size_t i = 0; i < known.size(); ++i) {
    CHECK_EQUAL(std::string{expected[i].name}, std::string{known[i].name});
    CHECK_EQUAL(std::string{expected[i].unit}, std::string{known[i].unit});
    CHECK_EQUAL(expected[i].min, known[i].min);
    CHECK_EQUAL(expected[i].max, known[i].max);
    CHECK_EQUAL(expected[i].default_value, known[i].default_value);
  }
}

TEST(Config, integer__is_accepted_up_to_both_ends_and_lands_in_its_member) {
  for (const SettingInfo& info : srp::known_settings()) {
    const std::string name{info.name};
    for (const std::uint32_t end : {info.min, info.max}) {
      if (info.max == 0) continue;
      const Settings settings = good(name + " = " + number(end) + "; ");
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
    if (info.max == 0) continue;
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
    CHECK_TEXT(contains(text, number(info.min) + " to " + number(info.max)), name.c_str());
    if (info.unit == "MiB" || info.unit == "bytes" || info.unit == "seconds") {
      CHECK_TEXT(contains(text, ", " + std::string{info.unit} + ". " + number(info.min) + " to "),
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
