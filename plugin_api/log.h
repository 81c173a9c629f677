// Log lines: tgtd's log, one line each, "srp: " in front, newline added, cut at tgtd's limit.
// error: something an administrator must act on. notice: what he wants to find afterwards.
// debug: only with `tgtadm --mode sys --op update -n debug -v on`. Not for the data path.
// trace: step by step what happens, for the categories that are on. For the data path too.
#pragma once

#include <bit>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>

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

// What is traced, by category: the bits of trace_flags.
enum class Trace : std::uint32_t {
  login = 1,    // requests, as they come; what becomes of them is logged in any case
  channel = 2,  // connections and devices: how they come, fail and go
  iu = 4,       // each IU, in and out
  data = 8,     // commands that wait for data memory
  task = 16,    // task management: what it names, what it ends
  credit = 32,  // credits that are announced without a response
  admin = 64,   // what tgtadm asks for
};

struct TraceCategory {
  Trace bit;
  const char* name;
};

// The one list of names; in the order of the bits, which start at 1 and leave none out.
inline constexpr TraceCategory trace_categories[] = {
    {Trace::login, "login"}, {Trace::channel, "channel"}, {Trace::iu, "iu"},
    {Trace::data, "data"},   {Trace::task, "task"},       {Trace::credit, "credit"},
    {Trace::admin, "admin"},
};
inline constexpr std::uint32_t trace_flags_all = (1U << std::size(trace_categories)) - 1;

// The categories that are on. Written when the driver starts and by tgtadm, at any time.
inline std::uint32_t trace_flags = 0;

// One load and one branch: to be asked before trace() where every command passes, and where the
// arguments alone cost something.
[[nodiscard]] inline bool traced(Trace category) noexcept {
  return (trace_flags & static_cast<std::uint32_t>(category)) != 0;
}

// Where the category is off, a call that returns at once. A notice where it is on: no other switch
// is needed to see it.
[[gnu::format(printf, 2, 3)]] inline void trace(Trace category, const char* format, ...) noexcept {
  if (!traced(category)) [[likely]]
    return;
  char line[log_line_bytes_max];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  const auto bit = std::countr_zero(static_cast<std::uint32_t>(category));
  tgt::log_warning("srp: [%s] %s\n", trace_categories[bit].name, line);
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
