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
