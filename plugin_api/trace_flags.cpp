#include "plugin_api/trace_flags.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "plugin_api/log.h"

namespace srp {
namespace {

std::uint32_t bit_of(const TraceCategory& category) {
  return static_cast<std::uint32_t>(category.bit);
}

std::optional<std::uint32_t> from_number(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  std::uint32_t flags = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, flags, hex ? 16 : 10);
  if (parsed.ec != std::errc{} || parsed.ptr != end || flags > trace_flags_all) return std::nullopt;
  return flags;
}

std::optional<std::uint32_t> from_name(std::string_view name) {
  for (const TraceCategory& category : trace_categories) {
    if (name == category.name) return bit_of(category);
  }
  return std::nullopt;
}

// The categories in flags, with commas in between.
std::string names(std::uint32_t flags) {
  std::string text;
  for (const TraceCategory& category : trace_categories) {
    if ((flags & bit_of(category)) == 0) continue;
    if (!text.empty()) text += ',';
    text += category.name;
  }
  return text;
}

}  // namespace

std::optional<std::uint32_t> trace_flags_from_text(std::string_view text) {
  if (text == "none") return 0;
  if (text == "all") return trace_flags_all;
  if (const auto flags = from_number(text)) return flags;
  std::uint32_t flags = 0;
  for (bool more = true; more;) {
    const auto comma = std::min(text.find(','), text.size());
    const auto bit = from_name(text.substr(0, comma));
    if (!bit) return std::nullopt;
    flags |= *bit;
    more = comma < text.size();
    if (more) text.remove_prefix(comma + 1);
  }
  return flags;
}

std::string text_of_trace_flags(std::uint32_t flags) {
  return (flags == 0 ? "none" : names(flags)) + " (" + std::to_string(flags) + ")";
}

std::string trace_flags_help() {
  return "a number up to " + std::to_string(trace_flags_all) + ", all, none, or names out of " +
         names(trace_flags_all);
}

}  // namespace srp
