// How logical units share the data memory of a device.
#include <vector>

#include "lld_srp/buffer_pool.h"
#include "lld_srp/limits.h"
#include "tests/unit/pool_fixture.h"

using srp::Buffer;
using srp::page_bytes;
using srp::test::extent;
using Client = srp::test::PoolClient;

TEST_GROUP_BASE(BufferShare, srp::test::PoolTest){};

TEST(BufferShare, allocate__a_party_alone_gets_three_quarters) {
  make(extent);
  std::vector<Buffer> pages;
  for (;;) {
    pages.push_back(pool->allocate(1, 7));
    if (pages.back().data == nullptr) break;
  }
  pages.pop_back();
  CHECK_EQUAL(12u, pages.size());
  const Buffer other = pool->allocate(page_bytes, 8);
  CHECK(other.data != nullptr);
  pages.push_back(other);
  pages.push_back(take(1));  // whoever is no party takes what there is
  release(pages);
  CHECK_EQUAL(0u, pool->bytes_in_use());
}

TEST(BufferShare, allocate__the_first_piece_of_a_party_is_bounded_by_nothing) {
  make(extent);
  const Buffer all = pool->allocate(extent, 7);
  CHECK(all.data != nullptr);
  pool->release(all);
}

TEST(BufferShare, allocate__the_more_parties_hang_the_less_each_has) {
  make(extent);
  std::vector<Buffer> pages;
  std::size_t count[4] = {};
  for (int round = 0; round < 16; ++round) {
    for (const unsigned party : {1U, 2U, 3U}) {
      const Buffer page = pool->allocate(1, static_cast<srp::Party>(party));
      if (page.data == nullptr) continue;
      pages.push_back(page);
      ++count[party];
    }
  }
  for (const unsigned party : {1U, 2U, 3U}) CHECK(count[party] >= 4 && count[party] <= 5);
  const Buffer other = pool->allocate(1, 4);
  CHECK(other.data != nullptr);
  pool->release(other);
  release(pages);
}

TEST(BufferShare, serve_line__passes_over_who_has_his_share) {
  make(extent);
  std::vector<Buffer> pages = take_pages(12, 7);
  Client hog{*pool};
  Client hog_too{*pool};
  Client other{*pool};
  CHECK(pool->allocate(1, 7).data == nullptr);
  hog.wait(2 * page_bytes, 7);
  hog_too.wait(1, 7);
  const Buffer passes = pool->allocate(1, 8);  // nobody is in line for want of memory
  CHECK(passes.data != nullptr);
  pool->release(passes);
  Buffer rest = take(4 * page_bytes);
  CHECK(pool->allocate(1, 8).data == nullptr);
  other.wait(1, 8);
  CHECK(pool->allocate(1, 9).data == nullptr);  // other is in front
  pool->release(rest);
  settle();
  CHECK_EQUAL(1, other.calls);
  CHECK_EQUAL(0, hog.calls + hog_too.calls);  // hog_too does not overtake its own party
  pool->release(other.buffer);
  for (int i = 0; i < 3; ++i) {
    pool->release(pages.back());
    pages.pop_back();
  }
  settle();
  CHECK_EQUAL(1, hog.calls);
  CHECK_EQUAL(1, hog_too.calls);
  for (Client* client : {&hog, &hog_too}) pool->release(client->buffer);
  release(pages);
}

TEST(BufferShare, allocate__of_a_party_that_waits_does_not_overtake_it) {
  make(extent);
  std::vector<Buffer> pages = take_pages(11, 7);
  Client large{*pool};
  CHECK(pool->allocate(8 * page_bytes, 7).data == nullptr);
  large.wait(8 * page_bytes, 7);
  CHECK(pool->allocate(1, 7).data == nullptr);  // it would have been within the share
  pool->leave(large);
  settle();
  pages.push_back(pool->allocate(1, 7));
  CHECK(pages.back().data != nullptr);
  release(pages);
}

TEST(BufferShare, wait__behind_ones_own_party_is_no_want_of_memory) {
  make(extent);
  std::vector<Buffer> pages = take_pages(11, 7);
  Client large{*pool};
  Client small{*pool};
  large.wait(8 * page_bytes, 7);
  CHECK(pool->allocate(1, 7).data == nullptr);
  small.wait(1, 7);
  pages.push_back(pool->allocate(1, 8));
  CHECK(pages.back().data != nullptr);
  pool->release(pages.back());
  pages.pop_back();
  pool->leave(large);
  settle();
  CHECK_EQUAL(1, small.calls);
  pool->release(small.buffer);
  release(pages);
}

TEST(BufferShare, may_have__counts_whole_pieces_and_whole_extents) {
  make(3 * extent + page_bytes);
  std::vector<Buffer> extents;
  for (int i = 0; i < 3; ++i) {
    const Buffer one = pool->allocate(extent / 2 + 1, 7);
    if (one.data != nullptr) extents.push_back(one);
  }
  CHECK_EQUAL(2u, extents.size());
  release(extents);
}

TEST(BufferShare, allocate__tries_again_to_grow_for_who_has_his_share) {
  make(4 * extent);
  std::vector<Buffer> pages;
  const auto take_all = [&] {
    for (Buffer page = pool->allocate(1, 7); page.data != nullptr; page = pool->allocate(1, 7)) {
      pages.push_back(page);
    }
    return pages.size();
  };
  world.faults.set(srp::fake::Fault::reg_mr, 1);
  CHECK_EQUAL(16u, take_all());
  release(pages);
  CHECK_EQUAL(12u, take_all());
  Client waiter{*pool};
  waiter.wait(1, 7);
  world.faults.clear();
  pages.push_back(pool->allocate(extent, 8));  // finds that there is more
  CHECK(pages.back().data != nullptr);
  settle();
  CHECK_EQUAL(1, waiter.calls);
  pool->release(waiter.buffer);
  release(pages);
  CHECK_EQUAL(48u, take_all());
  release(pages);
}

TEST(BufferShare, may_have__shares_what_can_be_registered) {
  make(2 * extent);
  std::vector<Buffer> pages;
  world.faults.set(srp::fake::Fault::reg_mr, 1);
  pages.push_back(pool->allocate(1, 8));
  while (true) {
    const Buffer page = pool->allocate(1, 7);
    if (page.data == nullptr) break;
    pages.push_back(page);
  }
  CHECK_EQUAL(16u, pages.size());  // it was not known yet that there is no more
  pool->release(pages.back());
  pages.pop_back();
  CHECK(pool->allocate(1, 7).data == nullptr);
  const Buffer other = pool->allocate(1, 9);
  CHECK(other.data != nullptr);
  pool->release(other);
  world.faults.clear();
  release(pages);
}

TEST(BufferShare, party_of__neighbours_differ) {
  for (std::uint64_t lun = 0; lun < 300; ++lun) {
    CHECK(srp::party_of(1, lun) != srp::no_party);
    CHECK(srp::party_of(1, lun) != srp::party_of(1, lun + 1));
    CHECK(srp::party_of(1, lun) != srp::party_of(2, lun));
  }
}
