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

namespace {

// Bytes of the character of more than one byte that text begins with; 0 if it begins with none.
// Unicode 15, table 3-7: no longer forms than needed, no surrogates, nothing beyond 10FFFFh.
std::size_t utf8_bytes(std::string_view text) {
  const auto byte = [text](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  const auto continues = [byte](std::size_t at) { return (byte(at) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (!continues(1)) return 0;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) {
    const bool fits = first == 0xe0 ? second >= 0xa0 : first != 0xed || second < 0xa0;
    return fits && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool fits = first == 0xf0 ? second >= 0x90 : first != 0xf4 || second < 0x90;
    return fits && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

// Paths may hold anything, JSON must be UTF-8: a byte that is none is taken for Latin-1.
void JsonWriter::quote(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const char letter = text.front();
    const auto byte = static_cast<unsigned char>(letter);
    std::size_t taken = 1;
    if (letter == '"' || letter == '\\') {
      text_ += '\\';
      text_ += letter;
    } else if (byte >= 0x20 && byte < 0x7f) {
      text_ += letter;
    } else if (const std::size_t bytes = utf8_bytes(text); bytes != 0) {
      text_ += text.substr(0, bytes);
      taken = bytes;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      text_ += escape;
    }
    text.remove_prefix(taken);
  }
  text_ += '"';
}

}  // namespace srp
