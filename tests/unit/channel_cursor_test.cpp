// The walk over ranges of an initiator's memory.
#include "lld_srp/channel.h"
#include "tests/unit/harness.h"

using namespace srp;

TEST_GROUP(DescriptorCursor) {
  const wire::MemoryDesc list[4] = {
      {0x1000, 7, 100}, {0x5000, 8, 0}, {0x2000, 9, 50}, {0x9000, 7, 1}};

  static void check(const DescriptorCursor::Range& range, std::uint64_t address, std::uint32_t key,
                    std::uint32_t bytes, std::uint64_t offset) {
    CHECK_EQUAL(address, range.address);
    CHECK_EQUAL(key, range.key);
    CHECK_EQUAL(bytes, range.bytes);
    CHECK_EQUAL(offset, range.offset);
  }
};

TEST(DescriptorCursor, done__at_once_over_nothing) {
  CHECK_TRUE(DescriptorCursor{}.done());
  CHECK_TRUE((DescriptorCursor{list, 0}.done()));
}

TEST(DescriptorCursor, next__whole_descriptors_in_order_without_empty_ones) {
  DescriptorCursor cursor{list, 151};
  check(cursor.next(1000), 0x1000, 7, 100, 0);
  check(cursor.next(1000), 0x2000, 9, 50, 100);
  CHECK_FALSE(cursor.done());
  check(cursor.next(1000), 0x9000, 7, 1, 150);
  CHECK_TRUE(cursor.done());
}

TEST(DescriptorCursor, next__is_cut_to_the_longest_message_and_goes_on_behind_it) {
  DescriptorCursor cursor{list, 120};
  check(cursor.next(64), 0x1000, 7, 64, 0);
  check(cursor.next(64), 0x1040, 7, 36, 64);
  check(cursor.next(64), 0x2000, 9, 20, 100);
  CHECK_TRUE(cursor.done());
}

TEST(DescriptorCursor, next__ends_where_the_bytes_end) {
  DescriptorCursor cursor{list, 99};
  check(cursor.next(1000), 0x1000, 7, 99, 0);
  CHECK_TRUE(cursor.done());
}

TEST(DescriptorCursor, next__counts_beyond_4_GiB) {
  const wire::MemoryDesc large[2] = {{0, 1, 0xffffffff}, {0, 2, 0xffffffff}};
  DescriptorCursor cursor{large, 0x1'0000'0001};
  check(cursor.next(0xffffffff), 0, 1, 0xffffffff, 0);
  check(cursor.next(0xffffffff), 0, 2, 2, 0xffffffff);
  CHECK_TRUE(cursor.done());
}
