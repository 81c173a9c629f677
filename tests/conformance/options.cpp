#include "options.h"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace conformance {

const char* const usage =
    "srp_conformance [OPTION...] id_ext=HEX16,ioc_guid=HEX16,dest=IP:PORT [CASE...]\n"
    "  Checks an SRP target over RDMA/CM. Writes to the first 20 MiB of the unit: its content is "
    "lost.\n"
    "  The words of add_target that are not needed here are ignored, so a login line can be "
    "pasted.\n"
    "  CASE: a name of --list, or a part of one before a '*', as in 'login/*'. Default: all.\n"
    "\n"
    "  --lun N              the unit, default 1; a disk of at least 32 MiB in blocks of 512 bytes\n"
    "  --strict             of several lawful answers only the best one passes\n"
    "  --patience SECONDS   how long an answer may take, default 30\n"
    "  --stall COMMAND      shell command after which the unit's store hangs, ...\n"
    "  --resume COMMAND     ... and the one after which it goes on; without them such cases are "
    "skipped\n"
    "  --pid PID            the target's process on this machine: its memory must not grow\n"
    "  --memory-growth MIB  ... by more than this over the whole run, default 96\n"
    "  --list               name, demand and source of each case; --names: only the names\n"
    "\n"
    "  Exit status: 0 if nothing failed, 1 if a case failed, 2 if nothing could be tested.\n";

namespace {

std::uint64_t hexadecimal(const std::string& word) {
  std::size_t end = 0;
  const std::uint64_t number = std::stoull(word, &end, 16);
  if (end != word.size()) throw std::invalid_argument("not hexadecimal: " + word);
  return number;
}

std::map<std::string, std::string> words_of(const std::string& line) {
  std::map<std::string, std::string> words;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t comma = std::min(line.find(',', at), line.size());
    const std::string word = line.substr(at, comma - at);
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) words[word.substr(0, equals)] = word.substr(equals + 1);
    at = comma + 1;
  }
  return words;
}

void parse_destination(const std::string& line, Options& options) {
  auto words = words_of(line);
  for (const char* need : {"id_ext", "ioc_guid", "dest"}) {
    if (!words.contains(need))
      throw std::invalid_argument(std::string(need) + "= is missing in: " + line);
  }
  options.target = {hexadecimal(words["id_ext"]), hexadecimal(words["ioc_guid"])};
  const std::string dest = words["dest"];
  const std::size_t colon = dest.rfind(':');
  if (colon == std::string::npos) throw std::invalid_argument("dest=IP:PORT needs a port: " + dest);
  options.port = dest.substr(colon + 1);
  options.host = dest.substr(0, colon);
  if (options.host.starts_with('[') && options.host.ends_with(']')) {
    options.host = options.host.substr(1, options.host.size() - 2);
  }
}

// An option with a value; false: there is none of this name.
bool take_value(const std::string& name, const std::string& value, Options& options) {
  if (name == "--lun")
    options.lun = static_cast<std::uint8_t>(std::stoul(value));
  else if (name == "--patience")
    options.patience_s = std::stoi(value);
  else if (name == "--stall")
    options.stall = value;
  else if (name == "--resume")
    options.resume = value;
  else if (name == "--pid")
    options.pid = std::stoi(value);
  else if (name == "--memory-growth")
    options.memory_growth_mib = std::stoi(value);
  else
    return false;
  return true;
}

bool take_switch(const std::string& name, Options& options) {
  if (name == "--strict")
    options.strict = true;
  else if (name == "--list")
    options.list = true;
  else if (name == "--names")
    options.list = options.brief = true;
  else
    return false;
  return true;
}

}  // namespace

Options parse_options(int count, char** words) {
  Options options;
  bool have_destination = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word.starts_with("--")) {
      if (take_switch(word, options)) continue;
      if (i + 1 == count || !take_value(word, words[i + 1], options)) {
        throw std::invalid_argument("unknown option, or its value is missing: " + word);
      }
      ++i;
    } else if (!have_destination && word.find('=') != std::string::npos) {
      parse_destination(word, options);
      have_destination = true;
    } else {
      options.patterns.push_back(word);
    }
  }
  if (!have_destination && !options.list) throw std::invalid_argument("which target? id_ext=...");
  if (options.stall.empty() != options.resume.empty()) {
    throw std::invalid_argument("--stall needs --resume, and the other way round");
  }
  return options;
}

}  // namespace conformance
