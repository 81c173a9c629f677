#include "lld_srp/json.h"

#include <cstdio>

#include "plugin_api/log.h"

namespace srp {

void JsonWriter::begin(std::string_view key, char bracket) {
  start_value(key);
  text_ += bracket;
  closing_.push_back(bracket == '{' ? '}' : ']');
  first_ = true;
}

void JsonWriter::end() {
  SRP_ASSERT(!closing_.empty());
  if (!first_) text_ += '\n' + std::string(2 * (closing_.size() - 1), ' ');
  text_ += closing_.back();
  closing_.pop_back();
  first_ = false;
}

void JsonWriter::add(std::string_view key, std::string_view text) {
  start_value(key);
  quote(text);
}

void JsonWriter::add_plain(std::string_view key, std::string_view value) {
  start_value(key);
  text_ += value;
}

const std::string& JsonWriter::text() const {
  SRP_ASSERT(closing_.empty());
  return text_;
}

void JsonWriter::start_value(std::string_view key) {
  if (closing_.empty()) return;
  if (!first_) text_ += ',';
  first_ = false;
  text_ += '\n' + std::string(2 * closing_.size(), ' ');
  if (closing_.back() != '}') return;
  quote(key);
  text_ += ": ";
}

// Bytes that are no ASCII are taken for Latin-1: paths may hold anything, JSON must be UTF-8.
void JsonWriter::quote(std::string_view text) {
  text_ += '"';
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      text_ += '\\';
      text_ += letter;
    } else if (byte >= 0x20 && byte < 0x7f) {
      text_ += letter;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      text_ += escape;
    }
  }
  text_ += '"';
}

}  // namespace srp
