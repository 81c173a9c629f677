// Initiators as they are known to behave: their login, their terms, their tags, the shape of their
// commands.
#include <algorithm>
#include <cstring>

#include "cases.h"
#include "check.h"
#include "tasks.h"

namespace conformance {

namespace {

struct Profile {
  std::uint32_t iu_bytes;
  std::uint16_t formats;
  std::uint8_t flags;
  std::uint16_t immediate_offset;
  PortId initiator;
  Terms terms;
  Tag (*tag)(unsigned n);  // of its n-th command
  Format format;           // of its data buffers
  int in_flight;           // commands at once
};

constexpr std::uint64_t guid = 0x0002c90300a1b2c3;

Tag linux_tag(unsigned n) { return Tag{1} << 16 | n % 62; }
Tag ring_index(unsigned n) { return n % 63; }
Tag counter(unsigned n) { return n + 1; }
Tag ipxe_tag(unsigned n) {  // "iPXE", then a number, big-endian
  Bytes bytes = from_hex("69505845 00000000");
  put(bytes, 4, n, 4);
  Tag tag;
  std::memcpy(&tag, bytes.data(), sizeof tag);
  return tag;
}

const Profile linux_today = {8260, 6,         login::immediate_requested, 68, {0, guid},
                             {},   linux_tag, Format::indirect,           30};
const Profile linux_4_17 = {276, 6, 0, 0, {0, guid}, {}, linux_tag, Format::direct, 30};
const Profile ofed_1_5 = {
    260, 6, 0, 0, {0, guid}, {4, 0, 7, 7, 1, 64}, ring_index, Format::indirect, 20};
const Profile esxi = {
    580, 6, 0, 0, {guid + 1, guid}, {4, 0, 7, 7, 1, 64}, ring_index, Format::indirect, 20};
const Profile winofed = {4196, 6, 0, 0, {0, guid}, {16, 4, 1, 6, 0, 160}, counter, Format::indirect,
                         30};
const Profile ipxe = {80, 0x0200, 0, 0, {0, guid}, {4, 0, 7, 7, 1, 2}, ipxe_tag, Format::direct, 1};

DataBuffer shaped(Format format, const Region& region, std::size_t at, std::size_t bytes) {
  if (format == Format::direct) return direct(region.at(at, bytes));
  const std::size_t half = bytes / 2;
  return indirect({region.at(at, half), region.at(at + half, bytes - half)});
}

LoginRequest request_of(Lab& lab, const Profile& profile) {
  LoginRequest request = lab.request();
  request.tag = 0;
  request.iu_bytes = profile.iu_bytes;
  request.formats = profile.formats;
  request.flags = profile.flags;
  request.immediate_offset = profile.immediate_offset;
  request.initiator = profile.initiator;
  return request;
}

// What an initiator does first: it looks at the unit, then it writes and reads.
void scans(Lab& lab, Workbench& bench, const Profile& profile, unsigned& n) {
  for (const Bytes& cdb :
       {cdb::report_luns(4096), cdb::inquiry(36), cdb::test_unit_ready(), cdb::read_capacity()}) {
    Command command = lab.command(bench.channel, cdb);
    command.tag = profile.tag(n++);
    if (cdb[0] != 0) command.in = shaped(profile.format, bench.in, 0, cdb[0] == 0xa0 ? 4096 : 36);
    if (cdb[0] == 0x25) command.in = shaped(profile.format, bench.in, 0, 8);
    must_be_good(bench.run(command));
  }
}

void moves_data(Workbench& bench, const Profile& profile, unsigned& n) {
  for (const bool out : {true, false}) {
    for (int i = 0; i < 8 * profile.in_flight; ++i) {
      if (bench.channel.granted() - bench.channel.limit() >= profile.in_flight) {
        must_be_good(bench.channel.await_any(), 0, 0);
      }
      Command command = out ? bench.write() : bench.read();
      command.tag = profile.tag(n++);
      (out ? command.out : command.in) =
          shaped(profile.format, out ? bench.out : bench.in, 0, 8 * bench.block());
      bench.channel.send(command.encode());
    }
    while (bench.channel.limit() < bench.channel.granted()) {
      must_be_good(bench.channel.await_any(), 0, 0);
    }
  }
  check(difference(bench.in.view(0, 8 * bench.block()), bench.out.view(0, 8 * bench.block())) < 0,
        "what is read is not what was written");
}

void behaves(Lab& lab, const Profile& profile) {
  Workbench bench(lab, lab.login(request_of(lab, profile), profile.terms));
  unsigned n = 0;
  scans(lab, bench, profile, n);
  moves_data(bench, profile, n);
  check(bench.channel.link().disconnect_and_wait(lab.patience()), "no answer to a DREQ");
}

// Rev. 10 of the standard had the halves of an identifier in the other order. A target may know
// only rev. 16a.
void rev_10(Lab& lab) {
  LoginRequest request = request_of(lab, ofed_1_5);
  request.target = {request.target.guid, request.target.extension};
  request.initiator = {guid, 0};
  const Attempt attempt = lab.attempt(request);
  if (attempt.channel == nullptr) {
    lab.must_be_refused(attempt, {login::cannot_associate});
    return lab.remark("refused lawfully");
  }
  lab.prove(*attempt.channel);
  lab.remark("accepted");
}

// Linux: channel 0 SINGLE, the others MULTI, each with the same tags of tasks; then all again,
// after a loss.
void linux_channels(Lab& lab) {
  for (int round = 0; round < 2; ++round) {
    std::vector<Channel*> channels;
    for (std::uint8_t i = 0; i < 4; ++i) {
      LoginRequest request = request_of(lab, linux_today);
      request.flags =
          static_cast<std::uint8_t>(request.flags | (i == 0 ? login::single : login::multi));
      channels.push_back(&lab.login(request));
    }
    for (Channel* each : channels) {
      TaskManagement abort = task_of(lab, *each, task::abort_task);
      abort.tag = 0x80000001;
      abort.managed = linux_tag(3);
      (void)run_task(*each, abort);
    }
    for (Channel* each : channels) lab.prove(*each);
    lab.drop_channels();
  }
}

// A reset names a command of the unit, and the code is looked at.
void ofed_reset(Lab& lab) {
  Workbench bench(lab, lab.login(request_of(lab, ofed_1_5), ofed_1_5.terms));
  TaskManagement reset = task_of(lab, bench.channel, task::lun_reset);
  reset.tag = 0x80 | 5;
  reset.managed = 5;
  must_answer(lab, bench.channel, reset, {task::complete});
}

// After reason 4 it would try again with direct descriptors alone.
void winofed_direct_only(Lab& lab) {
  Profile direct_only = winofed;
  direct_only.formats = login::direct;
  direct_only.format = Format::direct;
  behaves(lab, direct_only);
}

const char* const works = "it logs in, scans and moves data";

const Case cases[] = {
    {"profile/linux_today", "10.0", works, [](Lab& lab) { behaves(lab, linux_today); }},
    {"profile/linux_4_17", "10.0", works, [](Lab& lab) { behaves(lab, linux_4_17); }},
    {"profile/linux_channels", "2.6, 6.1", "four channels, twice", linux_channels},
    {"profile/ofed_1_5", "10.0", works, [](Lab& lab) { behaves(lab, ofed_1_5); }},
    {"profile/ofed_1_5_reset", "10.0", "code 0", ofed_reset},
    {"profile/rev_10_identifiers", "2.5, 85", "accepted, or reason 0x00010003", rev_10},
    {"profile/esxi", "10.0, P21", works, [](Lab& lab) { behaves(lab, esxi); }},
    {"profile/winofed", "10.0, P19, P20", works, [](Lab& lab) { behaves(lab, winofed); }},
    {"profile/winofed_direct_only", "10.0", works, winofed_direct_only},
    {"profile/ipxe", "10.0, P16, P17", works, [](Lab& lab) { behaves(lab, ipxe); }},
};

}  // namespace

std::span<const Case> profile_cases() { return cases; }

}  // namespace conformance
