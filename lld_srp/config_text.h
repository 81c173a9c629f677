// srp.conf as it is written: what libconfig's tree does not keep, for messages and for checks.
#pragma once

#include <libconfig.h++>
#include <string>
#include <string_view>

namespace srp {

std::string_view skip_blanks(std::string_view text);
// The text from the line with this number, counted from 1; empty where there are fewer.
std::string_view from_line(std::string_view text, unsigned line);

// A scalar as the file writes it; empty if that is not plain to see. libconfig 1.5 drops the high
// bits of an integer that does not fit without a word, so its own value cannot be trusted alone.
std::string_view written(std::string_view text, const libconfig::Setting& setting);
// Any value for a message: one line, cut short.
std::string shown(std::string_view text, const libconfig::Setting& setting);

}  // namespace srp
