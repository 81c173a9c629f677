// An SRP channel: a link that has logged in, with its request limit and the requests that are not
// yet answered.
#pragma once

#include <map>
#include <memory>

#include "link.h"

namespace conformance {

class Channel {
 public:
  Channel(std::unique_ptr<Link> link, const LoginResponse& login, int patience_s);

  [[nodiscard]] const LoginResponse& login() const { return login_; }
  [[nodiscard]] Link& link() { return *link_; }
  [[nodiscard]] bool grants_immediate() const {
    return (login_.flags & login::immediate_supported) != 0;
  }

  Tag next_tag() { return ++last_tag_; }

  // A request: takes one of the request limit, and is owed a response with its tag.
  void send(View request);
  // What is owed no response: rubbish, responses, log-outs.
  void send_unanswered(View iu) { link_->send(iu, patience()); }

  // The response to a request; others that come in the meantime are kept. Fails the case if it does
  // not come, if the channel ends, or if something comes that nobody has asked for.
  Response await(Tag tag);
  Response run(View request);  // send, and await what has the tag at its offset 8
  // The same within a time; none: it did not come.
  std::optional<Response> await_until(Tag tag, Deadline deadline);
  // The next response, whichever it is.
  Response await_any();

  // A request whose response will never come, because a task has aborted it. If it comes, the case
  // fails.
  void forget(Tag tag);
  void remember(Tag tag) { forgotten_.erase(tag); }  // it is used again
  // All requests that have no response yet are such.
  void forget_all();
  [[nodiscard]] bool is_owed(Tag tag) const { return owed_.contains(tag); }

  // The target must end this channel. T_LOGOUT before its end, and responses to `owed` requests,
  // are allowed.
  void must_end(const char* because_of);
  // Nothing may come for a while: no late response, no end.
  void must_be_silent(int ms);

  [[nodiscard]] std::int32_t limit() const { return limit_; }
  [[nodiscard]] std::int32_t granted() const { return login_.limit; }
  [[nodiscard]] bool expected_to_end() const { return expected_to_end_; }

 private:
  [[nodiscard]] Deadline patience() const { return in_seconds(patience_s_); }
  bool take_one(Deadline deadline);
  void take(const Bytes& iu);

  std::unique_ptr<Link> link_;
  LoginResponse login_;
  int patience_s_;
  std::int32_t limit_;
  Tag last_tag_ = 0x1000;
  std::map<Tag, int> owed_;  // how many requests of this tag are open
  std::map<Tag, bool> forgotten_;
  std::deque<Response> answers_;
  bool expected_to_end_ = false;
};

}  // namespace conformance
