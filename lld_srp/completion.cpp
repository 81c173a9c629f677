#include "lld_srp/completion.h"

#include "lld_srp/connection.h"
#include "lld_srp/limits.h"

namespace srp {

namespace {

// What a failed work request was doing, for the log.
const char* doing(verbs::WorkKind kind) noexcept {
  switch (kind) {
    case verbs::WorkKind::receive: return "receive";
    case verbs::WorkKind::fetch: return "RDMA READ";
    case verbs::WorkKind::command_reply:
    case verbs::WorkKind::task_reply:
    case verbs::WorkKind::notice: return "response";
    case verbs::WorkKind::progress:
    case verbs::WorkKind::unsignaled: return "RDMA WRITE";
  }
  return "?";
}

// Of a failed completion only status, wr_id, vendor_err and qp_num are defined.
[[gnu::cold]] void on_failure(Channel& channel, const ibv_wc& wc) noexcept {
  log_error("%s: %s failed: %s (vendor error 0x%x)", channel.connection().peer().c_str(),
            doing(verbs::Work::of(wc).kind), ibv_wc_status_str(wc.status), wc.vendor_err);
  channel.fail("a work request failed");
  channel.give_up(wc);
}

void dispatch(Channel& channel, const ibv_wc& wc) noexcept {
  if (wc.status != IBV_WC_SUCCESS) [[unlikely]] {
    return on_failure(channel, wc);
  }
  verbs::Work& work = verbs::Work::of(wc);
  switch (work.kind) {
    case verbs::WorkKind::receive:
      return channel.connection().on_receive(static_cast<Receive&>(work), wc.byte_len);
    case verbs::WorkKind::fetch: {
      auto& fetch = static_cast<Fetch&>(work);
      channel.on_read(fetch);
      return CommandWork::of_fetch(fetch).on_read();
    }
    case verbs::WorkKind::command_reply:
      channel.on_sent();
      return CommandWork::of_reply(static_cast<Reply&>(work)).on_responded();
    case verbs::WorkKind::task_reply:
      channel.on_sent();
      return Task::of_reply(static_cast<Reply&>(work)).on_responded();
    case verbs::WorkKind::notice: return channel.on_notice();
    case verbs::WorkKind::progress:
    case verbs::WorkKind::unsignaled: return channel.on_sent();
  }
}

// Takes up to limit completions; how many that were.
int take(Channel& channel, int limit) noexcept {
  ibv_wc wcs[poll_batch];
  int taken = 0;
  // The failure that is the reason may lie behind those that were flushed for it.
  bool flushed = false;
  while (taken < limit) {
    const int count = channel.poll(wcs);
    for (int i = 0; i < count; ++i) {
      const bool flush = wcs[i].status == IBV_WC_WR_FLUSH_ERR;
      flushed = flushed || flush;
      flush || channel.failed() ? channel.give_up(wcs[i]) : dispatch(channel, wcs[i]);
    }
    taken += count;
    if (count < poll_batch || channel.failed()) break;
  }
  if (flushed) channel.fail("work requests were flushed: the connection is lost");
  if (taken != 0 && !channel.failed()) {
    channel.connection().serve_parked();
    channel.pump();
  }
  return taken;
}

}  // namespace

void poll(Channel& channel) noexcept {
  if (channel.failed()) return;
  if (channel.look_again(take(channel, poll_budget))) return channel.connection().poll_later();
  channel.rearm();
  // What came between the last look and the request for an event raises none.
  if (channel.look_again(take(channel, poll_budget))) channel.connection().poll_later();
}

}  // namespace srp
