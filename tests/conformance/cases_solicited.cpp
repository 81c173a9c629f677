// Solicited notification: an event and a bit, if and only if they were asked for.
#include "cases.h"
#include "check.h"
#include "tasks.h"

namespace conformance {

namespace {

Channel& granted(Lab& lab) {
  LoginRequest request = lab.request();
  request.flags = login::solicited_notification;
  Channel& channel = lab.login(request);
  if ((channel.login().flags & login::solicited_supported) == 0) {
    check(!lab.options().strict, "SOLNTSUP is not granted");
    skip("not granted, which is lawful");
  }
  return channel;
}

// Soft iWARP (siw) tells a receiver who wants solicited events only of nothing at all.
void must_notify(const Lab& lab, Channel& channel, View iu, bool expected, const char* what) {
  channel.link().watch_solicited();
  const Response response = channel.run(iu);
  const bool event = channel.link().saw_solicited();
  check((response.solnt & 1) == (expected ? 1 : 0), what, ": SOLNT of the response is ",
        unsigned{response.solnt});
  if (expected && !event && lab.fabric().iwarp()) return;
  check(event == expected, what,
        expected ? ": no solicited event" : ": a solicited event that nobody asked for");
}

void commands(Lab& lab) {
  Workbench bench(lab, granted(lab));
  for (std::uint8_t asked = 0; asked <= (notify::on_success | notify::on_failure);
       asked = static_cast<std::uint8_t>(asked + 2)) {
    Command good = bench.read();
    good.solnt = asked;
    must_notify(lab, bench.channel, good.encode(), (asked & notify::on_success) != 0,
                "a good command");
    Command bad = lab.command(bench.channel, cdb::read_10(0xffffffff, 1));
    bad.in = direct(bench.in.at(0, bench.block()));
    bad.solnt = asked;
    must_notify(lab, bench.channel, bad.encode(), (asked & notify::on_failure) != 0,
                "a command that fails");
    Bytes refused = bench.write().encode();
    refused[1] = asked;
    refused[offset::formats] = 0x90;
    must_notify(lab, bench.channel, refused, (asked & notify::on_failure) != 0,
                "a command that is refused");
  }
}

void tasks(Lab& lab) {
  Channel& channel = granted(lab);
  for (std::uint8_t asked = 0; asked <= (notify::on_success | notify::on_failure);
       asked = static_cast<std::uint8_t>(asked + 2)) {
    TaskManagement good = task_of(lab, channel, task::lun_reset);
    good.solnt = asked;
    must_notify(lab, channel, good.encode(), (asked & notify::on_success) != 0, "a good task");
    TaskManagement bad = task_of(lab, channel, 0x80);
    bad.solnt = asked;
    must_notify(lab, channel, bad.encode(), (asked & notify::on_failure) != 0,
                "a task that is not supported");
  }
}

// Without the login's bits the target has promised nothing; it may also not claim to have been
// asked.
void never_unasked(Lab& lab) {
  Workbench bench(lab);
  for (int i = 0; i < 10; ++i) {
    must_notify(lab, bench.channel, bench.read().encode(), false,
                "a command that asks for nothing");
  }
}

const Case cases[] = {
    {"solicited/commands", "123", "by SCSOLNT on success, by UCSOLNT on failure, else never",
     commands},
    {"solicited/tasks", "123, 5.8", "by SCSOLNT on success, by UCSOLNT on failure, else never",
     tasks},
    {"solicited/never_unasked", "123", "never", never_unasked},
};

}  // namespace

std::span<const Case> solicited_cases() { return cases; }

}  // namespace conformance
