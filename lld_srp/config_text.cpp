#include "lld_srp/config_text.h"

#include <algorithm>

namespace srp {
namespace {

using libconfig::Setting;

constexpr std::size_t shown_bytes_max = 100;  // of a value, in a message

std::string quoted(std::string_view text) {
  std::string shown = "\"";
  for (const char letter : text.substr(0, shown_bytes_max)) {
    shown += letter >= ' ' && letter <= '~' ? letter : '?';  // a log line stays one line
  }
  return shown + (text.size() > shown_bytes_max ? "...\"" : "\"");
}

}  // namespace

std::string_view skip_blanks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

std::string_view from_line(std::string_view text, unsigned line) {
  for (; line > 1; --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text;
}

std::string_view written(std::string_view text, const Setting& setting) {
  constexpr std::string_view before_a_name = " \t\r;,{}()[]/";
  if (!setting.getName()) return {};
  const std::string_view name = setting.getName();
  const std::string_view rest = from_line(text, setting.getSourceLine());
  const std::string_view line = rest.substr(0, rest.find('\n'));
  for (auto at = line.find(name); at < line.size(); at = line.find(name, at + 1)) {
    if (at > 0 && before_a_name.find(line[at - 1]) == before_a_name.npos) continue;
    const std::string_view after = skip_blanks(rest.substr(at + name.size()));
    if (!after.starts_with('=') && !after.starts_with(':')) continue;
    const std::string_view value = skip_blanks(after.substr(1));
    return value.substr(0, value.find_first_of(" \t\r\n;,}#/"));
  }
  return {};
}

std::string shown(std::string_view text, const Setting& setting) {
  if (setting.getType() == Setting::TypeString) return quoted(setting.c_str());
  if (setting.isGroup()) return "{...}";
  if (setting.isList()) return "(...)";
  if (setting.isArray()) return "[...]";
  const std::string_view value = written(text, setting).substr(0, shown_bytes_max);
  return value.empty() ? "..." : std::string{value};
}

}  // namespace srp
