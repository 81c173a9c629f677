// JSON as it is written, and text that must be escaped.
#include "lld_srp/json.h"

#include "CppUTest/TestHarness.h"

using srp::JsonWriter;

TEST_GROUP(Json){};

TEST(Json, objects_and_arrays_nest) {
  JsonWriter json;
  json.begin_object();
  json.add("text", "a");
  json.add("number", 42U);
  json.add("negative", -1);
  json.add("flag", true);
  json.begin_array("list");
  json.add({}, "one");
  json.begin_object();
  json.add("x", false);
  json.end();
  json.end();
  json.begin_array("empty");
  json.end();
  json.begin_object("nothing");
  json.end();
  json.end();
  STRCMP_EQUAL(
      "{\n"
      "  \"text\": \"a\",\n"
      "  \"number\": 42,\n"
      "  \"negative\": -1,\n"
      "  \"flag\": true,\n"
      "  \"list\": [\n"
      "    \"one\",\n"
      "    {\n"
      "      \"x\": false\n"
      "    }\n"
      "  ],\n"
      "  \"empty\": [],\n"
      "  \"nothing\": {}\n"
      "}",
      json.text().c_str());
}

TEST(Json, text_is_escaped) {
  JsonWriter json;
  json.add({}, std::string_view{"a\"b\\c\n\x01\x7f\xe9\0z", 11});
  STRCMP_EQUAL("\"a\\\"b\\\\c\\u000a\\u0001\\u007f\\u00e9\\u0000z\"", json.text().c_str());
}

TEST(Json, utf8_stays_as_it_is) {
  // Two, three and four bytes, and the last of each kind.
  for (const char* text : {"\xc3\xa9", "\xdf\xbf", "\xe2\x82\xac", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa9z"}) {
    JsonWriter json;
    json.add({}, text);
    STRCMP_EQUAL(("\"" + std::string{text} + "\"").c_str(), json.text().c_str());
  }
}

TEST(Json, bytes_that_are_no_utf8_are_latin_1) {
  const struct {
    const char* text;
    const char* json;
  } rows[] = {
      {"\xc3", "\\u00c3"},                                   // cut short
      {"\xc3z", "\\u00c3z"},                                 // the second byte is another letter
      {"\xe2\x82", "\\u00e2\\u0082"},                        // cut short
      {"\xc0\x80", "\\u00c0\\u0080"},                        // longer than needed
      {"\xe0\x9f\xbf", "\\u00e0\\u009f\\u00bf"},             // longer than needed
      {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"},             // a surrogate
      {"\xf0\x8f\xbf\xbf", "\\u00f0\\u008f\\u00bf\\u00bf"},  // longer than needed
      {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"},  // beyond Unicode
      {"\x80\xc3\xa9", "\\u0080\xc3\xa9"},                   // one is, one is not
  };
  for (const auto& row : rows) {
    JsonWriter json;
    json.add({}, row.text);
    STRCMP_EQUAL(("\"" + std::string{row.json} + "\"").c_str(), json.text().c_str());
  }
}
