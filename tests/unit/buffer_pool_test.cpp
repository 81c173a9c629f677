// Division of registered memory, its bound, and the line of those who wait.
#include "lld_srp/buffer_pool.h"

#include <algorithm>
#include <vector>

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/pool_fixture.h"

using srp::Buffer;
using srp::page_bytes;
using srp::fake::Fault;
using srp::test::extent;
using srp::test::last_words;
using srp::test::log_of;
using Client = srp::test::PoolClient;

namespace {

bool overlap(const Buffer& a, const Buffer& b) {
  return a.data < b.data + b.bytes && b.data < a.data + a.bytes;
}

}  // namespace

TEST_GROUP_BASE(BufferPool, srp::test::PoolTest){};

TEST(BufferPool, registers_one_extent_to_begin_with) {
  make(4 * extent);
  CHECK_EQUAL(extent, pool->bytes_registered());
  CHECK_EQUAL(extent, pool->extent_bytes());
  CHECK_EQUAL(0u, pool->bytes_in_use());
  CHECK_EQUAL(0u, pool->waiters());
  CHECK_EQUAL(1u, world.fabric->mrs.size());
  CHECK_EQUAL(extent, world.fabric->mrs[0]->length);
  CHECK_EQUAL(int{IBV_ACCESS_LOCAL_WRITE}, world.fabric->mrs[0]->access);
}

TEST(BufferPool, throws_where_the_first_extent_cannot_be_registered) {
  world.faults.set(Fault::reg_mr, 1);
  CHECK_THROWS(std::system_error, make(extent));
}

TEST(BufferPool, gives_up_its_registrations) {
  make(2 * extent);
  std::vector<Buffer> all = take_pages(17);
  CHECK_EQUAL(2u, world.fabric->mrs.size());
  release(all);
  pool.reset();
  CHECK_EQUAL(0u, world.fabric->mrs.size());
}

TEST(BufferPool, wants_extents_of_a_power_of_two_pages) {
  for (const std::size_t bytes : {extent + page_bytes, page_bytes / 2, std::size_t{0}}) {
    const auto make_odd = [&] { pool.emplace(*pd, loop, 0, bytes, 4 * extent); };
    STRCMP_CONTAINS("has_single_bit", last_words(make_odd).c_str());
  }
  pool.emplace(*pd, loop, 0, page_bytes, page_bytes);
}

TEST(BufferPool, allocate__rounds_up_to_a_power_of_two_pages) {
  make(extent);
  const std::pair<std::size_t, std::size_t> rows[] = {
      {0, 1},     {1, 1},     {512, 1},   {4096, 1},   {4097, 2},        {8192, 2},   {8193, 4},
      {12288, 4}, {16384, 4}, {16385, 8}, {32769, 16}, {extent - 1, 16}, {extent, 16}};
  for (const auto& [bytes, pages] : rows) {
    const Buffer buffer = take(bytes);
    CHECK_EQUAL(pages * page_bytes, buffer.bytes);
    CHECK_EQUAL(pages * page_bytes, pool->bytes_in_use());
    CHECK_EQUAL(0u, reinterpret_cast<std::uintptr_t>(buffer.data) % page_bytes);
    CHECK_EQUAL(world.fabric->mrs[0]->lkey, buffer.lkey);
    std::fill_n(buffer.data, buffer.bytes, std::uint8_t{0xa5});
    pool->release(buffer);
    CHECK_EQUAL(0u, pool->bytes_in_use());
  }
}

TEST(BufferPool, allocate__of_more_than_an_extent_is_an_error_of_ours) {
  make(4 * extent);
  STRCMP_CONTAINS("bytes <= extent_bytes_",
                  last_words([&] { (void)pool->allocate(extent + 1); }).c_str());
}

TEST(BufferPool, allocate__divides_an_extent_without_overlap) {
  make(extent);
  std::vector<Buffer> buffers{take(1), take(8192), take(1), take(16384), take(32768)};
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK_FALSE(overlap(buffers[i], buffers[j]));
  }
  CHECK_EQUAL(extent, pool->bytes_in_use());
  CHECK(pool->allocate(1).data == nullptr);
  release(buffers);
}

TEST(BufferPool, allocate__grows_up_to_the_bound_and_no_further) {
  const std::pair<std::size_t, std::size_t> rows[] = {
      {0, 1}, {extent - 1, 1}, {extent, 1}, {2 * extent - 1, 1}, {2 * extent, 2}, {3 * extent, 3}};
  for (const auto& [bytes_max, extents] : rows) {
    make(bytes_max);
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < extents; ++i) buffers.push_back(take(extent));
    CHECK_EQUAL(extents * extent, pool->bytes_registered());
    CHECK(pool->allocate(1).data == nullptr);
    CHECK_EQUAL(extents * extent, pool->bytes_registered());
    CHECK_EQUAL(extents, world.fabric->mrs.size());
    release(buffers);
  }
}

TEST(BufferPool, allocate__grows_only_when_it_must) {
  make(2 * extent);
  std::vector<Buffer> pages = take_pages();
  CHECK_EQUAL(extent, pool->bytes_registered());
  pages.push_back(take(1));
  CHECK_EQUAL(2 * extent, pool->bytes_registered());
  CHECK(pages.back().lkey != pages.front().lkey);
  release(pages);
  pages = take_pages(32);
  CHECK_EQUAL(2 * extent, pool->bytes_registered());
  release(pages);
}

TEST(BufferPool, allocate__says_once_that_it_cannot_grow) {
  make(3 * extent);
  std::vector<Buffer> buffers{take(extent)};
  world.faults.set(Fault::reg_mr, 1);
  const std::string log = log_of([&] {
    CHECK(pool->allocate(1).data == nullptr);
    CHECK(pool->allocate(1).data == nullptr);
  });
  CHECK_EQUAL(1u, srp::test::occurrences(log, "data memory stays at"));
  STRCMP_CONTAINS("ibv_reg_mr", log.c_str());
  CHECK_EQUAL(extent, pool->bytes_registered());

  world.faults.clear();
  buffers.push_back(take(extent));
  world.faults.set(Fault::reg_mr, 1);
  const std::string again = log_of([&] { CHECK(pool->allocate(1).data == nullptr); });
  CHECK_EQUAL(1u, srp::test::occurrences(again, "data memory stays at"));
  release(buffers);
}

TEST(BufferPool, release__makes_an_extent_whole_again_in_any_order) {
  make(extent);
  for (int round = 0; round < 50; ++round) {
    std::vector<Buffer> pages = take_pages();
    CHECK(pool->allocate(1).data == nullptr);
    while (!pages.empty()) {
      const auto at = static_cast<std::ptrdiff_t>(world.random.below(pages.size()));
      pool->release(pages[static_cast<std::size_t>(at)]);
      pages.erase(pages.begin() + at);
    }
    pool->release(take(extent));
  }
}

TEST(BufferPool, release__joins_buddies_only) {
  make(extent);
  std::vector<Buffer> pages = take_pages();
  std::ranges::sort(pages, {}, &Buffer::data);
  pool->release(pages[1]);
  pool->release(pages[2]);
  CHECK(pool->allocate(8192).data == nullptr);  // neighbours, of two pairs
  pool->release(pages[3]);
  const Buffer pair = take(8192);
  POINTERS_EQUAL(pages[2].data, pair.data);
  pages.erase(pages.begin() + 1, pages.begin() + 4);
  pages.push_back(pair);
  release(pages);
}

TEST(BufferPool, release__of_nothing_does_nothing) {
  make(extent);
  pool->release({});
  CHECK_EQUAL(0u, pool->bytes_in_use());
}

TEST(BufferPool, release__schedules_nothing_where_nobody_waits) {
  make(extent);
  pool->release(take(1));
  CHECK_FALSE(tgtd.busy());
}

TEST(BufferPool, release__of_what_is_not_out_is_an_error_of_ours) {
  make(extent);
  const Buffer buffer = take(extent);
  const auto twice = [&] {
    pool->release(buffer);
    pool->release(buffer);
  };
  STRCMP_CONTAINS("!page->is_free", last_words(twice).c_str());
  const auto other_length = [&] { pool->release({buffer.data, page_bytes, buffer.lkey}); };
  STRCMP_CONTAINS("buffer.bytes == page_bytes", last_words(other_length).c_str());
  const auto behind = [&] { pool->release({buffer.data + extent, page_bytes, 0}); };
  STRCMP_CONTAINS("another pool", last_words(behind).c_str());
  const auto before = [&] { pool->release({buffer.data - 1, page_bytes, 0}); };
  STRCMP_CONTAINS("another pool", last_words(before).c_str());
  STRCMP_CONTAINS("bytes_in_use_ == 0", last_words([&] { pool.reset(); }).c_str());
  pool->release(buffer);
}

TEST(BufferPool, allocate_and_release__of_any_sizes_keep_the_books) {
  make(4 * extent);
  std::vector<Buffer> out;
  std::size_t in_use = 0;
  for (int step = 0; step < 20000; ++step) {
    if (out.empty() || world.random.chance(0.55)) {
      const std::size_t bytes = world.random.below(world.random.chance(0.2) ? extent + 1 : 9000);
      const Buffer buffer = pool->allocate(bytes);
      if (buffer.data == nullptr) continue;
      CHECK(buffer.bytes >= bytes);
      for (const Buffer& other : out) CHECK_FALSE(overlap(buffer, other));
      in_use += buffer.bytes;
      out.push_back(buffer);
    } else {
      std::swap(world.random.pick(out), out.back());
      in_use -= out.back().bytes;
      pool->release(out.back());
      out.pop_back();
    }
    CHECK_EQUAL(in_use, pool->bytes_in_use());
    CHECK(pool->bytes_registered() <= 4 * extent);
  }
  release(out);
  for (int i = 0; i < 4; ++i) out.push_back(take(extent));
  release(out);
}

TEST(BufferPool, wait__is_served_in_a_job_after_a_release) {
  make(extent);
  const Buffer all = take(extent);
  Client client{*pool};
  CHECK_FALSE(client.waiting());
  client.wait(8192);
  CHECK(client.waiting());
  CHECK_EQUAL(1u, pool->waiters());
  settle();
  CHECK_EQUAL(0, client.calls);
  pool->release(all);
  CHECK_EQUAL(0, client.calls);  // outside of all other calls
  settle();
  CHECK_EQUAL(1, client.calls);
  CHECK_FALSE(client.waiting());
  CHECK_EQUAL(8192u, client.buffer.bytes);
  CHECK_EQUAL(8192u, pool->bytes_in_use());
  settle();
  CHECK_EQUAL(1, client.calls);
  pool->release(client.buffer);
}

TEST(BufferPool, wait__is_served_in_order_and_a_large_wish_is_not_overtaken) {
  make(extent);
  std::vector<Buffer> pages = take_pages();
  Client large{*pool}, small{*pool};
  large.wait(extent);
  small.wait(1);
  while (!pages.empty()) {
    CHECK_EQUAL(0, large.calls + small.calls);
    CHECK(pool->allocate(1).data == nullptr);  // free pages are his who is first in line
    pool->release(pages.back());
    pages.pop_back();
    settle();
  }
  CHECK_EQUAL(1, large.calls);
  CHECK_EQUAL(0, small.calls);
  pool->release(large.buffer);
  settle();
  CHECK_EQUAL(1, small.calls);
  CHECK((Client::served == std::vector<Client*>{&large, &small}));
  pool->release(small.buffer);
}

TEST(BufferPool, wait__serves_as_many_as_there_is_memory_for) {
  make(extent);
  const Buffer all = take(extent);
  Client one{*pool}, two{*pool}, three{*pool};
  one.wait(extent / 2);
  two.wait(extent / 2);
  three.wait(1);
  pool->release(all);
  settle();
  CHECK_EQUAL(2, one.calls + two.calls);
  CHECK_EQUAL(0, three.calls);
  CHECK_EQUAL(1u, pool->waiters());
  for (Client* client : {&one, &two}) pool->release(client->buffer);
  settle();
  CHECK_EQUAL(1, three.calls);
  CHECK_FALSE(overlap(one.buffer, two.buffer));
  pool->release(three.buffer);
}

TEST(BufferPool, wait__grows_for_the_first_in_line) {
  make(2 * extent);
  const Buffer all = take(extent);
  world.faults.set(Fault::reg_mr, 1);
  CHECK(pool->allocate(extent).data == nullptr);
  Client one{*pool}, two{*pool};
  one.wait(extent);
  two.wait(extent);
  world.faults.clear();
  pool->release(all);
  settle();
  CHECK_EQUAL(2, one.calls + two.calls);
  CHECK_EQUAL(2 * extent, pool->bytes_registered());
  for (Client* client : {&one, &two}) pool->release(client->buffer);
}

TEST(BufferPool, wait__from_within_a_service) {
  make(extent);
  const Buffer all = take(extent);
  Client one{*pool}, two{*pool}, three{*pool};
  one.gives_back = two.gives_back = three.gives_back = true;
  one.next = &three;
  one.wait(extent);
  two.wait(extent);
  pool->release(all);
  settle();
  CHECK((Client::served == std::vector<Client*>{&one, &two, &three}));
  CHECK_EQUAL(0u, pool->bytes_in_use());
}

TEST(BufferPool, leave__of_the_first_lets_those_behind_go) {
  make(extent);
  std::vector<Buffer> pages = take_pages();
  Client large{*pool}, small{*pool};
  large.wait(extent);
  small.wait(1);
  pool->release(pages.back());
  pages.pop_back();
  settle();
  CHECK_EQUAL(0, small.calls);
  pool->leave(large);
  CHECK_FALSE(large.waiting());
  CHECK_EQUAL(0, small.calls);
  settle();
  CHECK_EQUAL(0, large.calls);
  CHECK_EQUAL(1, small.calls);
  pages.push_back(small.buffer);
  release(pages);
}

TEST(BufferPool, leave__of_one_in_the_middle_keeps_the_order_of_the_others) {
  make(extent);
  const Buffer all = take(extent);
  Client one{*pool}, two{*pool}, three{*pool};
  for (Client* client : {&one, &two, &three}) {
    client->gives_back = true;
    client->wait(extent);
  }
  pool->leave(two);
  settle();
  CHECK(Client::served.empty());
  pool->release(all);
  settle();
  CHECK((Client::served == std::vector<Client*>{&one, &three}));
}

TEST(BufferPool, leave__of_one_that_is_in_no_line_does_nothing) {
  make(extent);
  Client client{*pool};
  pool->leave(client);
  CHECK_FALSE(tgtd.busy());
  client.wait(1);
  settle();
  CHECK(client.waiting());
  pool->leave(client);
}

TEST(BufferPool, a_waiter_may_not_be_destroyed_in_line) {
  make(extent);
  STRCMP_CONTAINS("!is_linked()", last_words([&] {
                                    Client client{*pool};
                                    client.wait(1);
                                  }).c_str());
}
