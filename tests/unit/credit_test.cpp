// Where each credit is: with the initiator, under a request, or earned back.
#include "lld_srp/credit.h"

#include "tests/fake/random.h"
#include "tests/unit/harness.h"
#include "tests/unit/observe.h"

using srp::CreditLedger;
using srp::test::last_words;

TEST_GROUP(CreditLedger){};

TEST(CreditLedger, starts_with_every_credit_at_the_initiator) {
  const CreditLedger ledger{128};
  CHECK_EQUAL(128u, ledger.total());
  CHECK_EQUAL(128u, ledger.held());
  CHECK_EQUAL(0u, ledger.serving());
}

TEST(CreditLedger, spend__moves_a_credit_under_a_request) {
  CreditLedger ledger{3};
  CHECK(ledger.spend());
  CHECK_EQUAL(2u, ledger.held());
  CHECK_EQUAL(1u, ledger.serving());
  CHECK_EQUAL(3u, ledger.total());
}

TEST(CreditLedger, spend__refuses_what_the_initiator_has_not) {
  CreditLedger ledger{2};
  CHECK(ledger.spend());
  CHECK(ledger.spend());
  CHECK_FALSE(ledger.spend());
  CHECK_EQUAL(0u, ledger.held());
  CHECK_EQUAL(2u, ledger.serving());
}

TEST(CreditLedger, spend__has_nothing_of_what_is_earned_and_not_announced) {
  CreditLedger ledger{1};
  CHECK(ledger.spend());
  ledger.earn();
  CHECK_FALSE(ledger.spend());
  CHECK_EQUAL(1u, ledger.announce());
  CHECK(ledger.spend());
}

TEST(CreditLedger, announce__gives_all_that_was_earned_and_once) {
  CreditLedger ledger{4};
  for (int i = 0; i < 3; ++i) CHECK(ledger.spend());
  CHECK_EQUAL(0u, ledger.announce());
  ledger.earn();
  ledger.earn();
  CHECK_EQUAL(1u, ledger.held());
  CHECK_EQUAL(1u, ledger.serving());
  CHECK_EQUAL(2u, ledger.announce());
  CHECK_EQUAL(3u, ledger.held());
  CHECK_EQUAL(0u, ledger.announce());
  CHECK_EQUAL(3u, ledger.held());
}

TEST(CreditLedger, earn__without_a_request_is_an_error_of_ours) {
  STRCMP_CONTAINS("serving_ > 0", last_words([] {
                                    CreditLedger ledger{1};
                                    ledger.earn();
                                  }).c_str());
  STRCMP_CONTAINS("serving_ > 0", last_words([] {
                                    CreditLedger ledger{1};
                                    (void)ledger.spend();
                                    ledger.earn();
                                    ledger.earn();
                                  }).c_str());
}

TEST(CreditLedger, keeps_every_credit_whatever_happens) {
  srp::fake::Random random{1};
  CreditLedger ledger{7};
  std::uint32_t at_initiator = 7;  // by the deltas that it saw
  std::uint32_t served = 0;
  for (int step = 0; step < 10000; ++step) {
    switch (random.below(3)) {
      case 0: {
        const bool spent = ledger.spend();
        CHECK_EQUAL(at_initiator != 0, spent);
        if (spent) --at_initiator, ++served;
        break;
      }
      case 1:
        if (served != 0) ledger.earn(), --served;
        break;
      default: at_initiator += ledger.announce(); CHECK_EQUAL(7u, at_initiator + served);
    }
    CHECK_EQUAL(at_initiator, ledger.held());
    CHECK_EQUAL(served, ledger.serving());
  }
}
