// /etc/tgt/srp.conf to Settings, read once when the driver starts (driver.cpp). A missing file is
// one without settings: the defaults hold.
#pragma once

#include <string>
#include <vector>

#include "lld_srp/settings.h"

namespace srp {

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
