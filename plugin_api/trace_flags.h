// The categories of trace as administrators write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace srp {

// "17", "0x11", "login,task", "all", "none"; nothing for other texts and for bits of no category.
std::optional<std::uint32_t> trace_flags_from_text(std::string_view text);
// "login,task (17)", "none (0)".
std::string text_of_trace_flags(std::uint32_t flags);
// What trace_flags_from_text() takes, for whoever wrote something else.
std::string trace_flags_help();

}  // namespace srp
