// The manual page srp.conf(5), as conf/manual.awk makes it: it must say what known_settings() says.
#include <algorithm>
#include <cstdio>
#include <sstream>
#include <vector>

#include "tests/unit/config_fixture.h"

using srp::SettingInfo;
using srp::test::contains;
using srp::test::number;

namespace {

const std::string& page() {
  static const std::string text = [] {
    std::string made;
    std::FILE* pipe = popen("cd " TGT_SRP_SOURCE_DIR
                            "/conf && awk -v version=1 -v docdir=/doc -f manual.awk "
                            "srp.conf.example srp.conf.5.in",
                            "r");
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) made += static_cast<char>(c);
    const int status = pclose(pipe);
    CHECK_EQUAL(0, status);
    return made;
  }();
  return text;
}

// The description of the setting with this tag, on one line; empty where there is none.
std::string entry(const std::string& tag) {
  const std::string begin = "\n.TP\n.B " + tag + "\n";
  const auto at = page().find(begin);
  if (at == std::string::npos) return {};
  std::string text = page().substr(at + begin.size());
  text.erase(std::min(text.find("\n."), text.size()));
  for (char& letter : text) letter = letter == '\n' ? ' ' : letter;
  return text;
}

// What stands between .EX and .EE, each such block for itself.
std::vector<std::string> displays(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream lines{text};
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == ".EX") all.emplace_back();
    if (line == ".EX" || line == ".EE") {
      inside = line == ".EX";
    } else if (inside) {
      all.back() += line + "\n";
    }
  }
  return all;
}

}  // namespace

TEST_GROUP_BASE(Manual, srp::test::ConfigTest){};

TEST(Manual, scalars__are_shown_with_default_and_range) {
  for (const SettingInfo& info : srp::known_settings()) {
    if (info.max == 0) continue;
    const std::string name{info.name};
    const std::string value = !info.is_boolean()        ? number(info.default_value)
                              : info.default_value != 0 ? "true"
                                                        : "false";
    const std::string text = entry(name + " = " + value);
    CHECK_FALSE_TEXT(text.empty(), name.c_str());
    CHECK_TEXT(info.is_boolean() ? text.starts_with("true: ")
                                 : contains(text, number(info.min) + " to " + number(info.max)),
               name.c_str());
  }
}

TEST(Manual, other_settings__are_there) {
  CHECK_FALSE(entry("portals = [ ]").empty());
  CHECK_FALSE(entry("srpt_service_guid = \\(dq0002c90300a1b2c3\\(dq").empty());
  const std::string targets = entry("targets");
  for (const SettingInfo& info : srp::known_settings()) {
    const auto dot = info.name.find('.');
    if (dot == info.name.npos) continue;
    CHECK_TEXT(contains(targets, std::string{info.name.substr(dot + 1)}), info.name.data());
  }
}

TEST(Manual, settings__are_told_once) {
  std::size_t entries = 0;
  for (auto at = page().find("\n.TP\n.B "); at < page().find("\n.SH DIAGNOSTICS");
       at = page().find("\n.TP\n.B ", at + 1)) {
    ++entries;
  }
  std::size_t settings = 0;
  for (const SettingInfo& info : srp::known_settings()) {
    settings += info.name.find('.') == info.name.npos ? 1 : 0;
  }
  CHECK_EQUAL(settings, entries);
}

TEST(Manual, prose__has_bold_settings_and_options_to_copy) {
  CHECK_TRUE(contains(entry("command_mib_max = 16"), "at most \\fBbuffer_mib\\fR."));
  CHECK_TRUE(contains(entry("trace_flag = 0"), "\\-\\-name \\fBtrace_flag\\fR \\-\\-value"));
  CHECK_FALSE(contains(page(), "@VERSION@") || contains(page(), "@DOCDIR@"));
}

TEST(Manual, examples__are_accepted) {
  const std::string examples = page().substr(page().find("\n.SH EXAMPLES"));
  CHECK_EQUAL(2U, displays(examples).size());
  for (const std::string& text : displays(examples)) good(text);
  CHECK_EQUAL(1U, good(displays(page()).front()).targets.size());
}
