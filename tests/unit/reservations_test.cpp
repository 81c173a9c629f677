// Registrations are handed from a nexus that has ended to the one that follows it.
#include "plugin_api/reservations.h"

#include "tests/unit/harness.h"
#include "tests/unit/tgtd_fixture.h"

using srp::tgt::NexusStamp;
using srp::tgt::registration;

TEST_GROUP_BASE(Reservations, srp::test::TgtdTest) {
  srp::fake::Target& target = tgtd.create_target(1, "iqn.one");
  srp::fake::Lu& first = tgtd.create_lu(target, 1, 8, false);
  srp::fake::Lu& second = tgtd.create_lu(target, 2, 8, false);
  registration mine{};
  registration also_mine{};
  registration other{};
  registration namesake{};

  void add(srp::fake::Lu & lu, registration & one, std::uint64_t id, long created) {
    one.nexus_id = id;
    one.ctime = created;
    srp::fake::list_add_tail(one.registration_siblings, lu.registration_list);
  }

  void setup() override {
    add(first, mine, 7, 100);
    add(first, other, 8, 100);
    add(second, namesake, 7, 101);
    add(second, also_mine, 7, 100);
    first.pr_holder = &mine;
  }
};

TEST(Reservations, has_registrations__wants_id_and_second) {
  CHECK_TRUE(srp::tgt::has_registrations(target, {7, 100}));
  CHECK_TRUE(srp::tgt::has_registrations(target, {7, 101}));
  CHECK_TRUE(srp::tgt::has_registrations(target, {8, 100}));
  CHECK_FALSE(srp::tgt::has_registrations(target, {8, 101}));
  CHECK_FALSE(srp::tgt::has_registrations(target, {9, 100}));
}

TEST(Reservations, move_registrations__on_all_units_and_of_nobody_else) {
  srp::tgt::move_registrations(target, {7, 100}, {12, 200});
  CHECK_EQUAL(12U, mine.nexus_id);
  CHECK_EQUAL(200, mine.ctime);
  CHECK_EQUAL(12U, also_mine.nexus_id);
  CHECK_EQUAL(8U, other.nexus_id);
  CHECK_EQUAL(7U, namesake.nexus_id);
  CHECK_EQUAL(101, namesake.ctime);
  POINTERS_EQUAL(&mine, first.pr_holder);
}

TEST(Reservations, stamp_of__is_that_of_the_nexus) {
  char info[] = " \n";
  CHECK_EQUAL(0, tgtd.create_nexus(1, 5, info));
  target.find_nexus(5)->ctime = 77;
  const NexusStamp expected{5, 77};
  CHECK_TRUE(expected == srp::tgt::stamp_of(1, 5));
  CHECK_TRUE(NexusStamp{} == srp::tgt::stamp_of(1, 6));
  CHECK_TRUE(NexusStamp{} == srp::tgt::stamp_of(2, 5));
  CHECK_EQUAL(0, tgtd.destroy_nexus(1, 5));
}
