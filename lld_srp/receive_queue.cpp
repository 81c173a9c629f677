#include "lld_srp/receive_queue.h"

#include <utility>

#include "lld_srp/limits.h"
#include "plugin_api/log.h"

namespace srp {

namespace {

constexpr std::size_t cache_line_bytes = 64;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
  return (bytes + unit - 1) / unit * unit;
}

std::size_t stride_of(const ReceiveSizes& sizes) noexcept {
  return round_up(sizes.bytes, sizes.aligned_offset != 0 ? page_bytes : cache_line_bytes);
}

// From the start of the memory to the first IU.
std::size_t lead_of(const ReceiveSizes& sizes) noexcept {
  return round_up(sizes.aligned_offset, page_bytes) - sizes.aligned_offset;
}

}  // namespace

ReceiveQueue::ReceiveQueue(ibv_pd& pd, const ReceiveSizes& sizes)
    : ReceiveQueue(pd, sizes, verbs::Srq{}) {}

ReceiveQueue::ReceiveQueue(ibv_pd& pd, const ReceiveSizes& sizes, verbs::Srq srq)
    : sizes_(sizes),
      stride_(stride_of(sizes)),
      memory_(pd, round_up(lead_of(sizes) + sizes.total * stride_, page_bytes),
              IBV_ACCESS_LOCAL_WRITE),
      srq_(std::move(srq)) {
  receives_.reserve(sizes.total);
  for (std::uint32_t i = 0; i < sizes.total; ++i) {
    spare_.push_back(receives_.emplace_back(memory_.data() + lead_of(sizes) + i * stride_));
  }
}

bool ReceiveQueue::post(ibv_qp* qp) noexcept {
  while (posted_ < sizes_.posted && !spare_.empty()) {
    Receive& receive = spare_.front();
    ibv_sge sge{reinterpret_cast<std::uint64_t>(receive.iu), sizes_.bytes, memory_.lkey()};
    ibv_recv_wr wr{};
    wr.wr_id = receive.id();
    wr.sg_list = &sge;
    wr.num_sge = 1;
    ibv_recv_wr* bad = nullptr;
    const int error =
        srq_ ? ibv_post_srq_recv(srq_.get(), &wr, &bad) : ibv_post_recv(qp, &wr, &bad);
    if (error != 0) return false;
    spare_.pop_front();
    ++posted_;
  }
  return true;
}

void ReceiveQueue::take(Receive& receive, std::uint32_t bytes) noexcept {
  SRP_ASSERT(posted_ > 0);
  --posted_;
  receive.bytes = bytes;
}

}  // namespace srp
