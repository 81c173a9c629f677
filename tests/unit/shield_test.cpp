// Commands that stock tgtd must not be given: which, and what becomes of them.
#include "plugin_api/shield.h"

#include <array>
#include <memory>

#include "tests/fake/tgtd.h"
#include "tests/unit/harness.h"

using srp::tgt::make_aio_write;
using srp::tgt::registration;
using srp::tgt::reservation_crashes;
using srp::tgt::ReservationGuard;

namespace {

using Cdb = std::array<std::uint8_t, 16>;

constexpr std::uint8_t all_registrants = 8;

}  // namespace

TEST_GROUP(Shield) {
  srp::tgt::scsi_lu lu{};
  registration first{};
  registration second{};
  srp::tgt::backingstore_template store{"aio"};

  void setup() override {
    srp::fake::list_init(lu.registration_list);
    lu.bst = &store;
  }

  void add(registration & one) {
    srp::fake::list_add_tail(one.registration_siblings, lu.registration_list);
  }

  void remove(registration & one) { srp::fake::list_del(one.registration_siblings); }

  // first holds a reservation for all registrants.
  void reserve() {
    add(first);
    lu.pr_holder = &first;
    first.pr_scope = 3;
    first.pr_type = all_registrants;
  }
};

TEST(Shield, reservation_crashes__only_register_and_move_without_a_reservation) {
  reserve();
  for (registration* holder : {static_cast<registration*>(nullptr), &first}) {
    lu.pr_holder = holder;
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      for (unsigned byte1 = 0; byte1 < 256; ++byte1) {
        const Cdb cdb{static_cast<std::uint8_t>(opcode), static_cast<std::uint8_t>(byte1)};
        const bool register_and_move = opcode == 0x5f && (byte1 & 0x1f) == 7;
        CHECK_EQUAL(register_and_move && holder == nullptr, reservation_crashes(lu, cdb));
      }
    }
  }
}

TEST(Shield, reservation_guard__passes_the_reservation_on_to_another_registrant) {
  reserve();
  add(second);
  ReservationGuard guard{lu};
  remove(first);
  guard.mend();
  POINTERS_EQUAL(&second, lu.pr_holder);
  BYTES_EQUAL(3, second.pr_scope);
  BYTES_EQUAL(all_registrants, second.pr_type);
}

TEST(Shield, reservation_guard__does_not_look_at_the_registration_that_was_freed) {
  auto holder = std::make_unique<registration>();
  add(*holder);
  add(second);
  lu.pr_holder = holder.get();
  holder->pr_type = 7;
  ReservationGuard guard{lu};
  remove(*holder);
  holder.reset();
  guard.mend();
  POINTERS_EQUAL(&second, lu.pr_holder);
  BYTES_EQUAL(7, second.pr_type);
}

TEST(Shield, reservation_guard__ends_the_reservation_with_the_last_registrant) {
  reserve();
  ReservationGuard guard{lu};
  remove(first);
  guard.mend();
  POINTERS_EQUAL(nullptr, lu.pr_holder);
}

TEST(Shield, reservation_guard__gives_a_holder_that_it_was_moved_to_its_type) {
  reserve();
  add(second);
  ReservationGuard guard{lu};
  lu.pr_holder = &second;
  guard.mend();
  POINTERS_EQUAL(&second, lu.pr_holder);
  BYTES_EQUAL(3, second.pr_scope);
  BYTES_EQUAL(all_registrants, second.pr_type);
}

TEST(Shield, reservation_guard__leaves_a_holder_that_is_registered) {
  reserve();
  add(second);
  ReservationGuard guard{lu};
  first.pr_type = 5;  // the command may have changed it
  guard.mend();
  POINTERS_EQUAL(&first, lu.pr_holder);
  BYTES_EQUAL(5, first.pr_type);
  BYTES_EQUAL(0, second.pr_type);
}

TEST(Shield, reservation_guard__leaves_a_reservation_that_the_command_made) {
  add(second);
  add(first);
  ReservationGuard guard{lu};
  lu.pr_holder = &first;
  first.pr_type = 1;
  guard.mend();
  POINTERS_EQUAL(&first, lu.pr_holder);
  BYTES_EQUAL(1, first.pr_type);
}

TEST(Shield, reservation_guard__leaves_a_reservation_that_has_ended) {
  reserve();
  add(second);
  ReservationGuard guard{lu};
  lu.pr_holder = nullptr;
  guard.mend();
  POINTERS_EQUAL(nullptr, lu.pr_holder);
  BYTES_EQUAL(0, second.pr_type);
}

TEST(Shield, make_aio_write__turns_write_and_verify_into_write) {
  const std::pair<std::uint8_t, std::uint8_t> rows[] = {{0x2e, 0x2a}, {0xae, 0xaa}, {0x8e, 0x8a}};
  for (const auto& [before, after] : rows) {
    Cdb cdb;
    cdb.fill(0xff);
    cdb[0] = before;
    CHECK(make_aio_write(lu, cdb));
    Cdb expected;
    expected.fill(0xff);
    expected[0] = after;
    expected[1] = 0x10;
    CHECK(cdb == expected);
  }
}

TEST(Shield, make_aio_write__keeps_dpo_alone) {
  for (unsigned bit = 0; bit < 8; ++bit) {
    Cdb cdb{0x2e, static_cast<std::uint8_t>(1 << bit)};
    CHECK(make_aio_write(lu, cdb));
    BYTES_EQUAL(bit == 4 ? 0x10 : 0, cdb[1]);
  }
}

TEST(Shield, make_aio_write__refuses_orwrite) {
  Cdb cdb{0x8b};
  CHECK_FALSE(make_aio_write(lu, cdb));
}

TEST(Shield, make_aio_write__refuses_to_compare) {
  for (const std::uint8_t opcode : std::initializer_list<std::uint8_t>{0x2f, 0xaf, 0x8f}) {
    for (unsigned byte1 = 0; byte1 < 256; ++byte1) {
      Cdb cdb{opcode, static_cast<std::uint8_t>(byte1)};
      const Cdb before = cdb;
      CHECK_EQUAL((byte1 >> 1 & 3) == 0, make_aio_write(lu, cdb));
      CHECK(cdb == before);
    }
  }
}

TEST(Shield, make_aio_write__leaves_all_other_commands) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    const unsigned command = opcode & 0x1f;  // in the groups of 10, 16 and 12 bytes
    const bool grouped = opcode >> 5 == 1 || opcode >> 5 == 4 || opcode >> 5 == 5;
    if (opcode == 0x8b || (grouped && (command == 0x0e || command == 0x0f))) continue;
    Cdb cdb;
    cdb.fill(0xff);
    cdb[0] = static_cast<std::uint8_t>(opcode);
    const Cdb before = cdb;
    CHECK(make_aio_write(lu, cdb));
    CHECK(cdb == before);
  }
}

TEST(Shield, make_aio_write__leaves_all_other_stores) {
  for (const char* name : {"rdwr", "null", "ai", "aio2", ""}) {
    store.bs_name = name;
    for (const std::uint8_t opcode : std::initializer_list<std::uint8_t>{0x2e, 0x2f, 0x8b}) {
      Cdb cdb{opcode, 0xff};
      const Cdb before = cdb;
      CHECK(make_aio_write(lu, cdb));
      CHECK(cdb == before);
    }
  }
  lu.bst = nullptr;
  Cdb cdb{0x8b};
  CHECK(make_aio_write(lu, cdb));
}
