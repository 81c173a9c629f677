// The data memory of a device, and who waits for some.
#pragma once

#include <optional>
#include <vector>

#include "lld_srp/buffer_pool.h"
#include "lld_srp/limits.h"
#include "tests/unit/harness.h"
#include "tests/unit/tgtd_fixture.h"

namespace srp::test {

inline constexpr std::size_t extent = 16 * page_bytes;

// Someone in line; notes what he got, and when compared to others.
struct PoolClient : BufferPool::Waiter {
  explicit PoolClient(BufferPool& p) : Waiter(on_ready), pool(p) {}
  static void on_ready(Waiter& waiter, const Buffer& buffer) noexcept {
    auto& self = static_cast<PoolClient&>(waiter);
    self.buffer = buffer;
    ++self.calls;
    served.push_back(&self);
    if (self.gives_back) self.pool.release(buffer);
    if (self.next != nullptr) self.pool.wait(*self.next, extent);
  }
  void wait(std::size_t bytes, Party party = no_party) { pool.wait(*this, bytes, party); }
  static inline std::vector<PoolClient*> served;

  BufferPool& pool;
  Buffer buffer;
  int calls = 0;
  bool gives_back = false;
  PoolClient* next = nullptr;  // joins the line when this one is served
};

struct PoolTest : DeviceTest {
  EventLoop loop;
  std::optional<BufferPool> pool;

  BufferPool& make(std::size_t bytes_max) {
    return pool.emplace(*pd, loop, IBV_ACCESS_LOCAL_WRITE, extent, bytes_max);
  }

  void teardown() override {
    settle();
    pool.reset();
    PoolClient::served.clear();
    PoolClient::served.shrink_to_fit();
  }

  Buffer take(std::size_t bytes, Party party = no_party) {
    const Buffer buffer = pool->allocate(bytes, party);
    CHECK(buffer.data != nullptr);
    return buffer;
  }

  // By default the whole first extent, page by page.
  std::vector<Buffer> take_pages(std::size_t count = extent / page_bytes, Party party = no_party) {
    std::vector<Buffer> pages(count);
    for (Buffer& page : pages) page = take(1, party);
    return pages;
  }

  void release(std::vector<Buffer>& buffers) {
    for (const Buffer& buffer : buffers) pool->release(buffer);
    buffers.clear();
  }
};

}  // namespace srp::test
