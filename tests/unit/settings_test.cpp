// What the settings are called, what they may be, and which one a wrong name stands for.
#include "lld_srp/settings.h"

#include <iterator>
#include <string>

#include "tests/unit/harness.h"

using srp::ScalarSetting;
using srp::SettingInfo;
using srp::Settings;

TEST_GROUP(Settings){};

TEST(Settings, known_settings__have_these_ranges) {
  const SettingInfo expected[] = {
      {"rdma_cm_port", "port", 1, 65535, 5000},
      {"srp_max_req_size", "bytes", 64, 65536, 8276},
      {"srp_max_rsp_size", "bytes", 40, 1024, 320},
      {"srp_max_rdma_size", "bytes", 4096, 16777216, 1048576},
      {"srpt_sq_size", "work requests", 16, 65535, 1024},
      {"use_srq", "boolean", 0, 1, 0},
      {"srpt_srq_size", "receives", 4, 65535, 4095},
      {"credits", "requests", 2, 4096, 128},
      {"channels_max", "channels", 1, 64, 8},
      {"sessions_max", "sessions", 1, 65536, 256},
      {"logins_max", "logins", 1, 65536, 64},
      {"regroup_s", "seconds", 0, 86400, 600},
      {"command_mib_max", "MiB", 1, 256, 16},
      {"buffer_mib", "MiB", 16, 1048576, 256},
      {"immediate_data", "boolean", 0, 1, 1},
      {"login_timeout_s", "seconds", 1, 600, 30},
      {"keepalive_s", "seconds", 1, 3600, 30},
      {"rnr_timer", "IBTA code", 0, 31, 12},
      {"t_logout", "boolean", 0, 1, 0},
      {"rev10_port_ids", "boolean", 0, 1, 0},
      {"srpt_port_names", "boolean", 0, 1, 0},
      {"unique_scsi_ids", "boolean", 0, 1, 1},
      {"requests_without_lld", "boolean", 0, 1, 1},
      {"trace_flag", "bit mask", 0, 127, 0},
      {"portals", ""},
      {"srpt_service_guid", ""},
      {"targets", ""},
      {"targets[].name", ""},
      {"targets[].id_ext", ""},
      {"targets[].ioc_guid", ""},
      {"targets[].pkeys", ""},
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

TEST(Settings, scalar_settings__come_first_among_the_known) {
  const auto scalars = srp::scalar_settings();
  for (std::size_t i = 0; i < scalars.size(); ++i) {
    CHECK_EQUAL(std::string{srp::known_settings()[i].name}, std::string{scalars[i].info.name});
  }
  CHECK_TRUE(srp::known_settings()[scalars.size()].unit.empty());
}

TEST(Settings, assign__writes_the_member_of_that_name) {
  const auto assigned = [](std::string_view name, std::uint32_t value) {
    Settings settings;
    for (const ScalarSetting& known : srp::scalar_settings()) {
      if (known.info.name == name) known.assign(settings, value);
    }
    return settings;
  };
  CHECK_EQUAL(65535, assigned("rdma_cm_port", 65535).rdma_cm_port);
  CHECK_EQUAL(16777216U, assigned("srp_max_rdma_size", 16777216).srp_max_rdma_size);
  CHECK_TRUE(assigned("use_srq", 1).use_srq);
  CHECK_FALSE(assigned("immediate_data", 0).immediate_data);
}

TEST(Settings, value__is_what_was_assigned) {
  for (const ScalarSetting& known : srp::scalar_settings()) {
    Settings settings;
    const std::string name{known.info.name};
    CHECK_EQUAL_TEXT(known.info.default_value, known.value(settings), name.c_str());
    known.assign(settings, known.info.max);
    CHECK_EQUAL_TEXT(known.info.max, known.value(settings), name.c_str());
    known.assign(settings, known.info.min);
    CHECK_EQUAL_TEXT(known.info.min, known.value(settings), name.c_str());
  }
}

TEST(Settings, at_run_time__changes_what_a_login_asks_for_and_nothing_that_is_laid_out_before) {
  for (const ScalarSetting& known : srp::scalar_settings()) {
    const bool laid_out = known.info.name == "rdma_cm_port" || known.info.name == "use_srq" ||
                          known.info.name == "srpt_srq_size" ||
                          known.info.name == "command_mib_max" || known.info.name == "buffer_mib" ||
                          known.info.name == "srpt_port_names" ||
                          known.info.name == "unique_scsi_ids";
    CHECK_EQUAL_TEXT(!laid_out, known.info.at_run_time, std::string{known.info.name}.c_str());
  }
}

TEST(Settings, value_from_text__of_numbers) {
  const SettingInfo credits{"credits", "requests", 2, 4096, 128};
  CHECK_TRUE(srp::value_from_text(credits, "2") == 2U);
  CHECK_TRUE(srp::value_from_text(credits, "4096") == 4096U);
  for (const char* wrong :
       {"", "1", "4097", "-2", "+2", " 2", "2 ", "0x2", "2.0", "true", "99999999999"}) {
    CHECK_FALSE_TEXT(srp::value_from_text(credits, wrong).has_value(), wrong);
  }
  CHECK_EQUAL(std::string{"an integer from 2 to 4096 (requests)"}, srp::range_text(credits));
  CHECK_EQUAL(std::string{"64"}, srp::value_text(credits, 64));
}

TEST(Settings, value_from_text__of_booleans) {
  const SettingInfo flag{"t_logout", "boolean", 0, 1, 0};
  for (const char* yes : {"true", "on", "yes", "1"}) {
    CHECK_TRUE_TEXT(srp::value_from_text(flag, yes) == 1U, yes);
  }
  for (const char* no : {"false", "off", "no", "0"}) {
    CHECK_TRUE_TEXT(srp::value_from_text(flag, no) == 0U, no);
  }
  for (const char* wrong : {"", "2", "True", "true "}) {
    CHECK_FALSE_TEXT(srp::value_from_text(flag, wrong).has_value(), wrong);
  }
  CHECK_EQUAL(std::string{"true or false"}, srp::range_text(flag));
  CHECK_EQUAL(std::string{"true"}, srp::value_text(flag, 1));
  CHECK_EQUAL(std::string{"false"}, srp::value_text(flag, 0));
}

TEST(Settings, is_boolean__is_that_of_booleans_only) {
  unsigned booleans = 0;
  for (const SettingInfo& info : srp::known_settings()) booleans += info.is_boolean() ? 1 : 0;
  CHECK_EQUAL(7U, booleans);
  CHECK_FALSE((SettingInfo{"credits", "requests", 2, 4096, 128}.is_boolean()));
}

TEST(Settings, nearest_setting__is_of_the_group_and_not_far) {
  const struct {
    const char *group, *name, *nearest;
  } rows[] = {
      {"", "srq", ""},
      {"", "use_sqr", "use_srq"},
      {"", "imm_data", "immediate_data"},
      {"", "immediate", "immediate_data"},
      {"", "trace_flags", "trace_flag"},
      {"", "id_ext", ""},
      {"targets[].", "id_xt", "id_ext"},
      {"targets[].", "credits", ""},
  };
  for (const auto& row : rows) {
    CHECK_EQUAL_TEXT(std::string{row.nearest},
                     std::string{srp::nearest_setting(row.group, row.name)}, row.name);
  }
}
