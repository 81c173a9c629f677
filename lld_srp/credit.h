// The request limit of one channel, as arithmetic. Values only; the channel asks.
#pragma once

#include <cstdint>
#include <utility>

#include "plugin_api/log.h"

namespace srp {

// How many requests the initiator may still send (SRP r16a, request limit). Every credit is in one
// of three places: held by the initiator, under a request that we serve, or earned back and not yet
// announced.
class CreditLedger {
 public:
  explicit CreditLedger(std::uint32_t total) noexcept : total_(total), held_(total) {}

  // A request arrived; false: the initiator had no credit for it.
  [[nodiscard]] bool spend() noexcept {
    if (held_ == 0) return false;
    --held_;
    ++serving_;
    return true;
  }

  // A request is over: its credit may go back, with its own response or with a later one.
  void earn() noexcept {
    SRP_ASSERT(serving_ > 0);
    --serving_;
    ++earned_;
  }

  // REQUEST LIMIT DELTA of the response that is built now.
  [[nodiscard]] std::uint32_t announce() noexcept {
    held_ += earned_;
    SRP_ASSERT(held_ + serving_ == total_);
    return std::exchange(earned_, 0);
  }

  // The initiator can send no command (it keeps its last credit for a task), and of what we serve
  // all is unanswered, that is without a response to come: its credits wait for none.
  [[nodiscard]] bool stuck(std::uint32_t unanswered) const noexcept {
    return held_ <= 1 && serving_ <= unanswered && earned_ != 0;
  }

  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }
  [[nodiscard]] std::uint32_t held() const noexcept { return held_; }
  [[nodiscard]] std::uint32_t serving() const noexcept { return serving_; }

 private:
  std::uint32_t total_;
  std::uint32_t held_;
  std::uint32_t serving_ = 0;
  std::uint32_t earned_ = 0;
};

}  // namespace srp
