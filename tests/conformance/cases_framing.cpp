// IUs that are none, or not what they say: where no response is possible, the channel has to end.
#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

// Sends an IU that must end the channel; another channel of the nexus stays.
void ends_channel(Lab& lab, const Bytes& iu, const char* what) {
  Channel& channel = lab.login();
  Channel& other = lab.join();
  lab.prove(other);
  channel.send_unanswered(iu);
  channel.must_end(what);
  lab.prove(other);
}

void ends_channel_for_each(Lab& lab, std::initializer_list<std::uint8_t> codes) {
  for (const std::uint8_t code : codes) {
    Bytes iu(48);
    iu[0] = code;
    ends_channel(lab, iu, text("opcode ", unsigned{code}).c_str());
    lab.close_channels();
  }
}

void cmd_of(Lab& lab, std::size_t bytes) {
  Bytes iu(bytes);
  if (bytes > 0) iu[0] = opcode::cmd;
  ends_channel(lab, iu, "a short SRP_CMD");
}

// A short IU lies where a longer one was: nothing of the old content may be taken for the new.
void short_task(Lab& lab, std::size_t bytes) {
  Channel& channel = lab.login();
  TaskManagement task;
  task.tag = channel.next_tag();
  task.lun = lab.lun();
  task.function = task::abort_task_set;
  Bytes iu = task.encode();
  iu.resize(bytes);
  channel.send_unanswered(iu);
  channel.must_end("a short SRP_TSK_MGMT");
}

void too_long(Lab& lab) {
  Channel& channel = lab.login();
  Channel& other = lab.join();
  const Bytes iu(
      std::min<std::size_t>(channel.login().max_request_bytes + 4096, Link::iu_bytes_max));
  check(iu.size() > channel.login().max_request_bytes,
        "the target takes more than this program can send");
  channel.send_unanswered(iu);
  channel.must_end("an IU longer than MAX I->T IU LENGTH");
  lab.prove(other);
}

void logout(Lab& lab) {
  Channel& channel = lab.login();
  Channel& other = lab.join();
  channel.send_unanswered(encode_short(opcode::i_logout, channel.next_tag()));
  channel.must_end("SRP_I_LOGOUT");
  lab.prove(other);
}

void logout_with_commands(Lab& lab) {
  Workbench bench(lab);
  for (int i = 0; i < 8; ++i) bench.channel.send(bench.read().encode());
  bench.channel.send_unanswered(encode_short(opcode::i_logout, bench.channel.next_tag()));
  bench.channel.must_end("SRP_I_LOGOUT");
}

void ignores(Lab& lab, std::uint8_t code) {
  Channel& channel = lab.login();
  for (int i = 0; i < 3; ++i) channel.send_unanswered(encode_short(code, channel.next_tag()));
  lab.prove(channel);
  channel.must_be_silent(100);
}

// More than the target has receives, so that a credit taken by mistake shows.
void ignores_many(Lab& lab, std::uint8_t code) {
  Channel& channel = lab.login();
  for (int i = 0; i < channel.granted() + 20; ++i) {
    channel.send_unanswered(encode_short(code, channel.next_tag()));
    if (i % 16 == 0) lab.prove(channel);
  }
  lab.prove(channel);
}

void reserved_ones(Lab& lab) {
  Workbench bench(lab);
  Bytes iu = bench.read().encode();
  for (const std::size_t at : {2u, 3u, 4u, 16u, 17u, 18u, 19u, 28u, 30u}) iu[at] = 0xff;
  iu[1] = 0xf9;                                         // all but SCSOLNT and UCSOLNT
  iu[offset::attribute] = 0xf8;                         // SIMPLE
  iu[offset::out_count] = iu[offset::in_count] = 0xff;  // of no meaning if direct
  must_be_good(bench.run(iu), 0, 0);
  bench.must_have_read(8 * bench.block());
}

void overrun(Lab& lab) {
  Workbench bench(lab);
  Channel& other = lab.join();
  lab.stall();
  for (int i = 0; i < bench.channel.granted() + 20 && !bench.channel.link().ended(); ++i) {
    try {
      bench.channel.send(bench.read().encode());
    } catch (const Failure&) {
      break;  // it has ended
    }
  }
  bench.channel.must_end("more requests than the request limit");
  lab.resume();
  lab.prove(other);
}

// All that were granted, at once: every one is answered, and no more than that come back.
void full_window(Lab& lab) {
  Workbench bench(lab);
  const int window = std::min(bench.channel.granted(), 150);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < window; ++i) {
      Command ready = bench.ready();
      bench.channel.send(ready.encode());
    }
    for (int i = 0; i < window; ++i) must_be_good(bench.channel.await_any());
  }
  check(bench.channel.limit() == bench.channel.granted(), "request limit ", bench.channel.limit());
}

// Good commands, failing ones and refused ones, with a few credits left at most times.
void thousand_requests(Lab& lab) {
  Workbench bench(lab);
  for (int i = 0; i < 1000; ++i) {
    const bool bad = i % 5 == 0;
    Bytes iu = i % 3 == 0 ? bench.read(1).encode() : bench.ready().encode();
    if (bad) iu[offset::attribute] = 7;
    if (bench.channel.limit() < 8) (void)bench.channel.await_any();
    bench.channel.send(iu);
  }
  while (bench.channel.limit() < bench.channel.granted()) (void)bench.channel.await_any();
}

const char* const close_8 = "ends the channel; others of the nexus stay";

const Case cases[] = {
    {"framing/no_bytes", "1", close_8, [](Lab& lab) { cmd_of(lab, 0); }},
    {"framing/cmd_of_1_byte", "2", close_8, [](Lab& lab) { cmd_of(lab, 1); }},
    {"framing/cmd_of_15_bytes", "2", close_8, [](Lab& lab) { cmd_of(lab, 15); }},
    {"framing/cmd_of_47_bytes", "3", close_8, [](Lab& lab) { cmd_of(lab, 47); }},
    {"framing/task_of_33_bytes", "4", "ends the channel, no task is carried out",
     [](Lab& lab) { short_task(lab, 33); }},
    {"framing/task_of_47_bytes", "4", "ends the channel, no task is carried out",
     [](Lab& lab) { short_task(lab, 47); }},
    {"framing/too_long", "5", close_8, too_long},
    {"framing/unknown_opcodes", "6", close_8,
     [](Lab& lab) {
       ends_channel_for_each(lab, {0x04, 0x3f, 0x40, 0x43, 0x7f});
     }},
    {"framing/opcodes_of_targets", "7", close_8,
     [](Lab& lab) {
       ends_channel_for_each(lab, {opcode::t_logout, opcode::cred_req, opcode::aer_req,
                                   opcode::login_rsp, opcode::rsp, opcode::login_rej});
     }},
    {"framing/login_on_channel", "8", close_8,
     [](Lab& lab) { ends_channel(lab, lab.request().encode_full(), "LOGIN_REQ as an IU"); }},
    {"framing/logout", "9", "an orderly end of this channel only", logout},
    {"framing/logout_with_commands", "9", "an orderly end, commands are aborted",
     logout_with_commands},
    {"framing/logout_of_8_bytes", "10", close_8,
     [](Lab& lab) {
       Bytes iu = encode_short(opcode::i_logout, 1);
       iu.resize(8);
       ends_channel(lab, iu, "a short I_LOGOUT");
     }},
    {"framing/cred_rsp", "11", "ignored, costs no credit",
     [](Lab& lab) { ignores(lab, opcode::cred_rsp); }},
    {"framing/aer_rsp", "11", "ignored, costs no credit",
     [](Lab& lab) { ignores(lab, opcode::aer_rsp); }},
    {"framing/many_cred_rsp", "11", "ignored, costs neither credits nor receives",
     [](Lab& lab) { ignores_many(lab, opcode::cred_rsp); }},
    {"framing/reserved_ones", "12", "reserved bits are ignored", reserved_ones},
    {"framing/overrun", "13", "more requests than granted end the channel; others stay", overrun},
    {"framing/full_window", "13", "as many requests as granted are answered", full_window},
    {"framing/thousand_requests", "98", "good and bad ones: the request limit comes back",
     thousand_requests},
};

}  // namespace

std::span<const Case> framing_cases() { return cases; }

}  // namespace conformance
