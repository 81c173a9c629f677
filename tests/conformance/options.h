// What the command line says.
#pragma once

#include <string>
#include <vector>

#include "iu.h"

namespace conformance {

struct Options {
  std::string host, port;
  PortId target{};
  std::uint8_t lun = 1;
  std::string stall, resume;  // commands of the shell; empty: such cases are skipped
  int pid = 0;                // of the target's process; 0: its memory is not looked at
  int memory_growth_mib = 96;
  int patience_s = 30;
  bool strict = false;
  bool list = false;
  bool brief = false;  // --list without the words
  std::vector<std::string> patterns;
};

// Throws std::invalid_argument with a sentence.
Options parse_options(int count, char** words);
extern const char* const usage;

}  // namespace conformance
