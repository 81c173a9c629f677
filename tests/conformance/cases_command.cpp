// The header of SRP_CMD: formats, attributes, additional CDB, units, tags.
#include <cstring>

#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

const std::vector<Sense> bad_field = {sense::invalid_field_in_iu, sense::invalid_field_in_cdb,
                                      sense::invalid_iu};
const std::vector<Sense> too_short = {sense::iu_too_short, sense::invalid_iu,
                                      sense::invalid_field_in_iu, sense::invalid_field_in_cdb};

void each_format(Lab& lab, bool out) {
  Workbench bench(lab);
  for (unsigned format = 4; format <= 15; ++format) {
    Bytes iu = (out ? bench.write() : bench.read()).encode();
    iu[offset::formats] = static_cast<std::uint8_t>(out ? format << 4 : format);
    must_be_refused(lab, bench.run(iu), bad_field);
  }
  bench.must_have_read_nothing();
  bench.must_have_written_nothing();
}

// Reserved values: refused, or taken as ORDERED.
void each_attribute(Lab& lab) {
  Workbench bench(lab);
  for (const unsigned value : {3u, 5u, 6u, 7u}) {
    Command write = bench.write();
    write.attribute = static_cast<std::uint8_t>(value);
    const Response response = bench.run(write);
    if (!lab.options().strict && response.status == status::good)
      return lab.remark("taken as another");
    must_be_refused(lab, response, bad_field);
  }
  bench.must_have_written_nothing();
}

void attributes_run(Lab& lab) {
  Workbench bench(lab);
  for (const std::uint8_t value :
       {attribute::simple, attribute::head_of_queue, attribute::ordered}) {
    Command read = bench.read();
    read.attribute = value;
    must_be_good(bench.run(read), 0, 0);
    bench.must_have_read(8 * bench.block());
  }
}

// READ(16) fits its 16 bytes: what follows is skipped, and the descriptor found behind it.
void additional_cdb_is_skipped(Lab& lab) {
  Workbench bench(lab);
  for (const std::size_t more : {4u, 16u, 252u}) {
    Command read = bench.read();
    read.cdb = cdb::read_16(0, 8);
    read.cdb.resize(16 + more, 0x5a);
    must_be_good(bench.run(read), 0, 0);
    bench.must_have_read(8 * bench.block());
    bench.in.fill(Workbench::filler);
  }
}

void additional_cdb_low_bits(Lab& lab) {
  Workbench bench(lab);
  for (std::uint8_t low = 1; low <= 3; ++low) {
    Bytes iu = bench.read().encode();
    iu[offset::additional_cdb] = low;
    must_be_good(bench.run(iu), 0, 0);
  }
  bench.must_have_read(8 * bench.block());
}

// READ(32): few targets know it, none may stumble over it.
void variable_length_cdb(Lab& lab, std::uint8_t additional_bytes) {
  Workbench bench(lab);
  Command read = bench.read();
  read.cdb.assign(std::size_t{16} + additional_bytes, 0);
  read.cdb[0] = 0x7f;
  read.cdb[7] = 0x18;  // ADDITIONAL CDB LENGTH of SPC: 32 bytes in all
  read.cdb[9] = 0x09;  // READ(32)
  if (additional_bytes >= 16) put(read.cdb, 28, 8, 4);
  const Response response = bench.run(read);
  if (response.status == status::good) return bench.must_have_read(8 * bench.block());
  check(response.status == status::check_condition && sense_of(response).key == 5,
        "neither GOOD nor ILLEGAL REQUEST: ", response.describe());
  bench.must_have_read_nothing();
}

using Lun = std::array<std::uint8_t, 8>;

Response ready_of(Workbench& bench, const Lun& lun) {
  Command ready = bench.ready();
  ready.lun = lun;
  return bench.run(ready);
}

void absent_units(Lab& lab) {
  Workbench bench(lab);
  const Lun absent[] = {
      {0x00, 0xfe},
      {0x40, 0xfe},
      {0x7f, 0xff},  // peripheral, flat
      {0xd2, 0x00, 0x00, 0xfe},
      {0xe2, 0, 0, 0, 0, 1},  // extended
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
  };
  for (const Lun& lun : absent) must_be_refused(lab, ready_of(bench, lun), {sense::no_such_unit});
}

// A second level that is not zero names another unit.
void second_level(Lab& lab) {
  Workbench bench(lab);
  Lun lun = lab.lun();
  lun[3] = 9;
  must_be_refused(lab, ready_of(bench, lun), {sense::no_such_unit});
}

void flat_space(Lab& lab) {
  Workbench bench(lab);
  Lun lun = lab.lun();
  lun[0] |= 0x40;
  const Response response = ready_of(bench, lun);
  if (response.status == status::good) return lab.remark("the same unit");
  must_be_refused(lab, response, {sense::no_such_unit});
  lab.remark("no unit");
}

void absent_unit_inquiry(Lab& lab) {
  Workbench bench(lab);
  Command inquiry = bench.inquiry(36);
  inquiry.lun = {0, 0xfe};
  const Response response = bench.run(inquiry);
  if (response.status != status::good) {
    return must_be_refused(lab, response, {sense::no_such_unit});
  }
  check(bench.in.view(0, 1)[0] == 0x7f, "INQUIRY of no unit: peripheral byte ",
        unsigned{bench.in.view(0, 1)[0]}, ", should be 7fh");
}

void report_luns(Lab& lab) {
  Workbench bench(lab);
  Command report = lab.command(bench.channel, cdb::report_luns(4096));
  report.lun = {};
  report.in = direct(bench.in.at(0, 4096));
  const Response response = bench.run(report);
  must_be_good(response);
  const auto bytes = static_cast<std::size_t>(get(bench.in.view(0, 4), 0, 4));
  bool found = false;
  for (std::size_t at = 8; at < 8 + bytes; at += 8) {
    const View lun = bench.in.view(at, 8);
    found = found || ((lun[0] & 0x3f) == 0 && lun[1] == lab.options().lun);
  }
  check(found, "the unit is not among those reported");
  check(response.in_residual == 4096 - 8 - bytes, "residual ", response.in_residual, ", ",
        8 + bytes, " of 4096 bytes were sent");
}

void well_known_unit(Lab& lab) {
  Workbench bench(lab);
  Command report = lab.command(bench.channel, cdb::report_luns(16));
  report.lun = {0xc1, 0x01};
  report.in = direct(bench.in.at(0, 16));
  const Response response = bench.run(report);
  if (response.status == status::good) return lab.remark("there is one");
  must_be_refused(lab, response, {sense::no_such_unit});
  bench.must_have_read_nothing();
  lab.remark("there is none");
}

// Two open commands of one tag: the second is refused, or both run; the tag says nothing to a
// target.
void duplicate_tag(Lab& lab) {
  Workbench bench(lab);
  Command first = bench.write(), second = bench.read(1);
  second.tag = first.tag;
  bench.channel.send(first.encode());
  bench.channel.send(second.encode());
  for (int i = 0; i < 2; ++i) {
    const Response response = bench.channel.await(first.tag);
    if (response.status != status::good) must_be_refused(lab, response, {sense::overlapped});
  }
}

void tag_on_two_channels(Lab& lab) {
  Workbench bench(lab);
  Channel& other = lab.join();
  for (int i = 0; i < 16; ++i) {
    Command here = bench.read(), there = bench.inquiry(36);
    there.tag = here.tag;
    there.in = direct(bench.in.at(32 << 10, 36));
    bench.channel.send(here.encode());
    other.send(there.encode());
    must_be_good(other.await(there.tag));
    must_be_good(bench.channel.await(here.tag), 0, 0);
  }
}

void any_tag(Lab& lab) {
  Workbench bench(lab);
  for (const Tag tag : {Tag{0}, ~Tag{0}, Tag{0x80000001}, Tag{1} << 63, Tag{0x6950584512345678},
                        Tag{0x9e3779b97f4a7c15}}) {
    Command ready = bench.ready();
    ready.tag = tag;
    must_be_good(bench.run(ready));
  }
}

Bytes both_formats(Workbench& bench, std::uint8_t formats) {
  Bytes iu = bench.read().encode();
  append(iu, View(iu).last(16));
  iu[offset::formats] = formats;
  return iu;
}

const char* const nothing_moves = "CHECK CONDITION 5/0e/03, nothing is moved";

const Case cases[] = {
    {"command/reserved_out_formats", "16", nothing_moves, [](Lab& lab) { each_format(lab, true); }},
    {"command/reserved_in_formats", "17", nothing_moves, [](Lab& lab) { each_format(lab, false); }},
    refusal(
        "command/reserved_format_behind_a_good_one", "18", nothing_moves,
        [](Workbench& bench) { return both_formats(bench, 0x91); }, bad_field),
    refusal(
        "command/immediate_not_granted", "23", nothing_moves,
        [](Workbench& bench) {
          Command write = bench.write(1);
          write.out = {Format::immediate, {}, {}, static_cast<std::uint32_t>(bench.block())};
          return write.encode_immediate(bench.out.view(0, bench.block()), 68);
        },
        bad_field),
    refusal(
        "command/immediate_in", "24", nothing_moves,
        [](Workbench& bench) {
          Bytes iu = bench.read().encode();
          iu[offset::formats] = 0x03;
          return iu;
        },
        bad_field),
    refusal(
        "command/immediate_both", "25", nothing_moves,
        [](Workbench& bench) { return both_formats(bench, 0x33); }, bad_field),
    {"command/reserved_attributes", "26", "5/0e/03, or taken as ORDERED", each_attribute},
    refusal("command/aca_attribute", "27", "5/24/00: there is no ACA condition",
            [](Workbench& bench) {
              Command write = bench.write();
              write.attribute = attribute::aca;
              return write.encode();
            },
            {sense::invalid_field_in_cdb, sense::invalid_field_in_iu}),
    {"command/attributes", "1.7", "SIMPLE, HEAD OF QUEUE and ORDERED are carried out",
     attributes_run},
    refusal(
        "command/additional_cdb_not_there", "28", "5/0e/01",
        [](Workbench& bench) {
          Bytes iu = bench.ready().encode();
          iu[offset::additional_cdb] = 252;
          return iu;
        },
        too_short),
    refusal(
        "command/descriptor_behind_additional_cdb_not_there", "28", "5/0e/01, nothing is moved",
        [](Workbench& bench) {
          Bytes iu = bench.read().encode();
          iu[offset::additional_cdb] = 16;
          return iu;
        },
        too_short),
    {"command/additional_cdb_low_bits", "29", "reserved bits are ignored", additional_cdb_low_bits},
    {"command/additional_cdb_is_skipped", "31", "the descriptor is behind it",
     additional_cdb_is_skipped},
    {"command/variable_length_cdb", "31, 8.1-14", "carried out, or ILLEGAL REQUEST",
     [](Lab& lab) { variable_length_cdb(lab, 16); }},
    {"command/variable_length_cdb_cut_short", "8.1-14",
     "ILLEGAL REQUEST; nothing behind the IU is read",
     [](Lab& lab) { variable_length_cdb(lab, 0); }},
    {"command/absent_units", "32", "5/25/00", absent_units},
    {"command/second_level_of_lun", "32", "5/25/00: it is part of the unit's name", second_level},
    {"command/flat_lun", "32", "the same unit, or 5/25/00", flat_space},
    {"command/absent_unit_inquiry", "5.7", "peripheral qualifier 011b, type 1fh",
     absent_unit_inquiry},
    {"command/report_luns", "5.7", "LUN 0 reports the units, even if it is none", report_luns},
    {"command/well_known_unit", "32", "REPORT LUNS, or 5/25/00", well_known_unit},
    {"command/duplicate_tag", "33", "both run, or the second one is 0b/4e/00", duplicate_tag},
    {"command/tag_on_two_channels", "34", "independent", tag_on_two_channels},
    {"command/any_tag", "35", "comes back as it was", any_tag},
};

}  // namespace

std::span<const Case> command_cases() { return cases; }

}  // namespace conformance
