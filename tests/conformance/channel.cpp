#include "channel.h"

#include <algorithm>
#include <cstring>

#include "check.h"

namespace conformance {

Channel::Channel(std::unique_ptr<Link> link, const LoginResponse& login, int patience_s)
    : link_(std::move(link)), login_(login), patience_s_(patience_s), limit_(login.limit) {}

void Channel::send(View request) {
  Tag tag;
  std::memcpy(&tag, request.data() + offset::tag, sizeof tag);
  ++owed_[tag];
  --limit_;
  link_->send(request, patience());
}

Response Channel::run(View request) {
  Tag tag;
  std::memcpy(&tag, request.data() + offset::tag, sizeof tag);
  send(request);
  return await(tag);
}

// Soft iWARP (siw_accept) leaves an IU that arrives before the target's accept has ended on the
// socket until more comes. That is no fault of the target's.
Response Channel::await(Tag tag) {
  if (link_->iwarp()) {
    if (auto early = await_until(tag, in_seconds(std::min(3, patience_s_)))) return *early;
    if (!link_->ended()) send_unanswered(encode_short(opcode::cred_rsp, 0));
  }
  auto response = await_until(tag, patience());
  if (response) return std::move(*response);
  check(!link_->ended(), "the channel ends instead of a response: ", link_->end());
  // Costs nothing and is to be ignored; but a target that sleeps over what it has received wakes
  // up.
  send_unanswered(encode_short(opcode::cred_rsp, 0));
  const bool woken = await_until(tag, in_seconds(2)).has_value();
  fail("no response in ", patience_s_, " s", woken ? "; there is one when another IU is sent" : "");
}

std::optional<Response> Channel::await_until(Tag tag, Deadline deadline) {
  for (;;) {
    const auto found = std::ranges::find(answers_, tag, &Response::tag);
    if (found != answers_.end()) {
      Response response = std::move(*found);
      answers_.erase(found);
      return response;
    }
    if (!take_one(deadline)) return std::nullopt;
  }
}

Response Channel::await_any() {
  if (answers_.empty()) {
    const bool came = take_one(patience());
    check(came && !answers_.empty(),
          "no response: ", link_->ended() ? link_->end() : "the time is over");
  }
  Response response = std::move(answers_.front());
  answers_.pop_front();
  return response;
}

void Channel::forget(Tag tag) {
  check(owed_.erase(tag) != 0, "internal: a tag that is not open cannot be forgotten");
  forgotten_[tag] = true;
}

void Channel::forget_all() {
  while (!owed_.empty()) forget(owed_.begin()->first);
  answers_.clear();
}

void Channel::must_end(const char* because_of) {
  expected_to_end_ = true;
  const Deadline deadline = patience();
  while (const auto iu = link_->receive(deadline)) {
    if ((*iu)[0] != opcode::t_logout) take(*iu);
  }
  check(link_->ended(), because_of, ": the target does not close the channel in ", patience_s_,
        " s");
}

void Channel::must_be_silent(int ms) {
  const auto iu = link_->receive(in_milliseconds(ms));
  check(!iu.has_value(), "an IU that nobody has asked for: ", iu ? to_hex(*iu) : "");
  check(!link_->ended(), "the channel ends without reason: ", link_->end());
}

bool Channel::take_one(Deadline deadline) {
  const auto iu = link_->receive(deadline);
  if (!iu) return false;
  take(*iu);
  return true;
}

void Channel::take(const Bytes& iu) {
  check(!iu.empty(), "an IU of no bytes");
  check(iu.size() <= login_.max_response_bytes, "an IU of ", iu.size(), " bytes; LOGIN_RSP said ",
        login_.max_response_bytes, " at most");
  check(iu[0] == opcode::rsp, "an IU that no request asks for: ", to_hex(iu));
  Response response = parse_response(iu);
  limit_ += response.delta;
  check(!forgotten_.contains(response.tag),
        "a response to an aborted command: ", response.describe());
  const auto owed = owed_.find(response.tag);
  check(owed != owed_.end(), "a response that no request is waiting for: ", to_hex(iu));
  if (--owed->second == 0) owed_.erase(owed);
  answers_.push_back(std::move(response));
}

}  // namespace conformance
