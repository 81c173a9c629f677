// JSON, one value behind the other; what is written is always well-formed.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace srp {

class JsonWriter {
 public:
  // Members of the object that begins; key: empty within an array, and for the outermost value.
  void begin_object(std::string_view key = {}) { begin(key, '{'); }
  void begin_array(std::string_view key) { begin(key, '['); }
  void end();

  void add(std::string_view key, std::string_view text);
  void add(std::string_view key, const char* text) { add(key, std::string_view{text}); }
  void add(std::string_view key, bool value) { add_plain(key, value ? "true" : "false"); }
  template <std::integral Number>
  void add(std::string_view key, Number value) {
    add_plain(key, std::to_string(value));
  }

  // Precondition: everything that was begun has ended.
  [[nodiscard]] const std::string& text() const;

 private:
  void begin(std::string_view key, char bracket);
  void add_plain(std::string_view key, std::string_view value);
  void start_value(std::string_view key);
  void quote(std::string_view text);

  std::string text_;
  std::vector<char> closing_;  // brackets of what has begun
  bool first_ = true;          // nothing stands in the innermost yet
};

}  // namespace srp
