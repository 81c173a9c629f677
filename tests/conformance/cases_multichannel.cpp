// Several channels of one nexus, and the nexuses of several initiators.
#include <list>

#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

unsigned result_of(const Channel& channel) { return channel.login().flags & login::result_mask; }

LoginRequest more(Lab& lab) {
  LoginRequest request = lab.request();
  request.flags = login::multi;
  return request;
}

void first_is_multi(Lab& lab) {
  const Channel& channel = lab.login(more(lab));
  const bool ok = result_of(channel) == login::result_none ||
                  (!lab.options().strict && result_of(channel) == login::result_maintained);
  check(ok, "multi-channel result ", result_of(channel), ", there was no channel");
}

void results(Lab& lab) {
  Channel& first = lab.login();
  check(result_of(first) == login::result_none, "multi-channel result ", result_of(first));
  Channel& second = lab.join();
  check(result_of(second) == login::result_maintained, "multi-channel result ", result_of(second));
  lab.prove(first);
  lab.prove(second);
  Channel& only = lab.login();
  check(result_of(only) == login::result_terminated, "multi-channel result ", result_of(only));
  first.must_end("a SINGLE login");
  second.must_end("a SINGLE login");
  lab.prove(only);
}

// All that were accepted work; where there is a limit, the one beyond it is told so and harms
// nobody.
std::list<Channel*> as_many_as_possible(Lab& lab) {
  constexpr std::size_t most = 64;
  std::list<Channel*> channels = {&lab.login()};
  while (channels.size() < most) {
    const Attempt attempt = lab.attempt(more(lab));
    if (attempt.channel == nullptr) {
      lab.must_be_refused(attempt,
                          {login::channel_limit, login::no_multichannel, login::no_resources});
      break;
    }
    channels.push_back(attempt.channel);
  }
  lab.remark(text(channels.size(), " channels"));
  return channels;
}

void limit(Lab& lab) {
  for (Channel* each : as_many_as_possible(lab)) lab.prove(*each);
}

void place_is_given_back(Lab& lab) {
  Channel& last = *as_many_as_possible(lab).back();
  check(last.link().disconnect_and_wait(lab.patience()), "no answer to a DREQ");
  const Deadline deadline = lab.patience();
  for (;;) {
    const Attempt attempt = lab.attempt(more(lab));
    if (attempt.channel != nullptr) return lab.prove(*attempt.channel);
    check(Clock::now() < deadline, "no channel is admitted after another one has ended");
  }
}

void initiators_are_independent(Lab& lab) {
  std::list<Channel*> channels;
  for (std::uint64_t i = 0; i < 6; ++i) {
    LoginRequest request = lab.request();
    request.initiator = {0x100 + i, i};
    channels.push_back(&lab.login(request));
    check(result_of(*channels.back()) == login::result_none, "initiator ", i,
          " ends another one's channel");
  }
  // Only the halves are swapped: another initiator.
  LoginRequest request = lab.request();
  request.initiator = {3, 0x103};
  check(result_of(lab.login(request)) == login::result_none,
        "another initiator is taken for this one");
  for (Channel* each : channels) lab.prove(*each);
}

void load_on_all(Lab& lab) {
  Workbench bench(lab);
  std::list<Channel*> channels = {&bench.channel};
  for (int i = 0; i < 3; ++i) channels.push_back(&lab.join());
  constexpr int rounds = 40;
  for (int i = 0; i < rounds; ++i) {
    for (Channel* each : channels) {
      Command read = bench.read();
      read.tag = each->next_tag();
      each->send(read.encode());
    }
  }
  for (Channel* each : channels) {
    for (int i = 0; i < rounds; ++i) must_be_good(each->await_any(), 0, 0);
  }
  bench.must_have_read(8 * bench.block());
}

void one_ends(Lab& lab) {
  Channel& first = lab.login();
  Channel& second = lab.join();
  Channel& third = lab.join();
  check(second.link().disconnect_and_wait(lab.patience()), "no answer to a DREQ");
  lab.prove(first);
  lab.prove(third);
}

void replaced_again_and_again(Lab& lab) {
  Workbench bench(lab);
  Channel* old = &bench.channel;
  for (int i = 0; i < 10; ++i) {
    for (int n = 0; n < 8; ++n) {
      Command read = bench.read();
      read.tag = old->next_tag();
      old->send(read.encode());
    }
    Channel& next = lab.login();
    check(result_of(next) == login::result_terminated, "multi-channel result ", result_of(next));
    old->must_end("a SINGLE login");
    old = &next;
  }
}

const Case cases[] = {
    {"multichannel/first_is_multi", "86", "accepted with result 0", first_is_multi},
    {"multichannel/results", "2.6", "0, 2 for one more, 1 for a SINGLE login that ends others",
     results},
    {"multichannel/limit", "90", "reason 0x00010006 beyond it, the others go on", limit},
    {"multichannel/place_is_given_back", "90", "a channel that has ended makes room",
     place_is_given_back},
    {"multichannel/initiators_are_independent", "2.5", "all 16 bytes of the identifier count",
     initiators_are_independent},
    {"multichannel/load_on_all", "98", "all is answered on the channel it came by", load_on_all},
    {"multichannel/one_ends", "10.3", "the others go on", one_ends},
    {"multichannel/replaced_again_and_again", "87", "the old channel ends, the new one works",
     replaced_again_and_again},
};

}  // namespace

std::span<const Case> multichannel_cases() { return cases; }

}  // namespace conformance
