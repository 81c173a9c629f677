// The edge towards tgtd, which is C: nothing may unwind into it.
#pragma once

#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "plugin_api/log.h"

namespace srp {

// Runs body and returns what it returns; an exception is logged with `where` and becomes `failure`.
template <class Result, class Body>
Result at_the_edge(const char* where, Result failure, Body&& body) noexcept try {
  return std::forward<Body>(body)();
} catch (const std::exception& error) {
  log_error("%s: %s", where, error.what());
  return failure;
} catch (...) {
  log_error("%s: unknown exception", where);
  return failure;
}

}  // namespace srp
