// What the tests of srp.conf share: a folder of their own, and sentences about loading a text.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "CppUTest/TestHarness.h"
#include "lld_srp/config.h"

namespace srp::test {

inline std::string number(long long value) { return std::to_string(value); }

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST_BASE(ConfigTest) {
  std::string folder = std::filesystem::temp_directory_path() / "srp-config-test-XXXXXX";
  std::string path;

  void setup() override {
    CHECK(mkdtemp(folder.data()) != nullptr);
    path = folder + "/srp.conf";
  }

  void teardown() override { std::filesystem::remove_all(folder); }

  ConfigResult load(const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
    return srp::load_config(path, true);
  }

  Settings good(const std::string& text) {
    const ConfigResult result = load(text);
    for (const ConfigMistake& mistake : result.mistakes) {
      FAIL((mistake.where + ": " + mistake.what).c_str());
    }
    return result.settings;
  }

  // Exactly one mistake, on this line, that says what; returns its remedy.
  std::string only_mistake(const std::string& text, unsigned line, const std::string& what) {
    const ConfigResult result = load(text);
    CHECK_EQUAL_TEXT(1u, result.mistakes.size(), text.c_str());
    const ConfigMistake& mistake = result.mistakes.front();
    CHECK_EQUAL_TEXT(path + ":" + number(line), mistake.where, text.c_str());
    CHECK_EQUAL_TEXT(what, mistake.what, text.c_str());
    CHECK_FALSE_TEXT(mistake.remedy.empty(), text.c_str());
    return mistake.remedy;
  }
};

}  // namespace srp::test
