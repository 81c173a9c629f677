// How a case ends before its last line: it failed, or it cannot be run here.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace conformance {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... why) {
  throw Failure(text(why...));
}

// check(condition, "what is wrong ", number, ...)
template <class... Parts>
void check(bool ok, const Parts&... why) {
  if (!ok) fail(why...);
}

template <class... Parts>
[[noreturn]] void skip(const Parts&... why) {
  throw Skip(text(why...));
}

}  // namespace conformance
