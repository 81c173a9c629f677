// Log lines: tgtd's log, one line each, "srp: " in front, newline added, cut at tgtd's limit.
// error: something an administrator must act on. notice: what he wants to find afterwards.
// debug: only with `tgtadm --mode sys --op update -n debug -v on`. Not for the data path.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "plugin_api/tgt_abi.h"

namespace srp {

inline constexpr std::size_t log_line_bytes_max = 240;  // tgtd keeps 256 with its own prefix

[[gnu::format(printf, 1, 2)]] inline void log_error(const char* format, ...) noexcept {
  char line[log_line_bytes_max];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  tgt::log_error("srp: %s\n", line);
}

[[gnu::format(printf, 1, 2)]] inline void log_notice(const char* format, ...) noexcept {
  char line[log_line_bytes_max];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  tgt::log_warning("srp: %s\n", line);
}

[[gnu::format(printf, 1, 2)]] inline void log_debug(const char* format, ...) noexcept {
  if (!tgt::is_debug) return;
  char line[log_line_bytes_max];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  tgt::log_debug("srp: %s\n", line);
}

// An error of ours, never of a peer's: on in every build, because a daemon that may write the wrong
// block must stop.
[[noreturn]] inline void assertion_failed(const char* what, const char* file, int line) noexcept {
  log_error("assertion failed: %s, %s:%d", what, file, line);
  std::abort();
}

}  // namespace srp

#define SRP_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::srp::assertion_failed(#condition, __FILE__, __LINE__))
