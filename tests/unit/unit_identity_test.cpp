// Identifiers of units, and the page that tells them, byte by byte.
#include "lld_srp/unit_identity.h"

#include <cstring>
#include <vector>

#include "tests/unit/harness.h"
#include "tests/unit/tgtd_fixture.h"

using srp::PortId;

namespace {

constexpr PortId port{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
                      0x00, 0x02, 0xc9, 0x03, 0x00, 0xa1, 0xb2, 0xc3};

// The page as far as it says bytes: header and body of one designator.
struct Designator {
  std::uint8_t code_set, type;
  std::vector<std::uint8_t> body;
};

}  // namespace

TEST_GROUP_BASE(UnitIdentity, srp::test::TgtdTest) {
  srp::fake::Target& target = tgtd.create_target(1, "iqn.one");
  srp::fake::Lu& lu = tgtd.create_lu(target, 1, 8, false);
  srp::fake::Lu& other = tgtd.create_lu(target, 2, 8, false);

  static std::vector<Designator> designators(const srp::fake::Lu& unit) {
    const srp::tgt::vpd& page = *unit.attrs.lu_vpd[3];
    std::vector<Designator> all;
    for (unsigned at = 0; at < page.size; at += 4U + page.data[at + 3]) {
      const std::uint8_t* head = page.data + at;
      all.push_back({head[0], head[1], {head + 4, head + 4 + head[3]}});
    }
    return all;
  }
};

TEST(UnitIdentity, make_unique__differs_by_host_target_and_unit_and_is_the_same_again) {
  srp::make_unique(lu, 1, "iqn.one");
  const std::string id = lu.attrs.scsi_id;
  const std::string serial = lu.attrs.scsi_sn;
  const std::uint64_t number = lu.attrs.numeric_id;
  CHECK_EQUAL(32U, id.size());
  CHECK_EQUAL(std::string{"IET     "}, id.substr(0, 8));
  CHECK_EQUAL(16U, serial.size());
  CHECK_EQUAL(0U, number >> 60);
  srp::make_unique(other, 1, "iqn.one");
  CHECK_TRUE(id != other.attrs.scsi_id && serial != other.attrs.scsi_sn);
  CHECK_TRUE(number != other.attrs.numeric_id);
  srp::make_unique(lu, 2, "iqn.one");
  CHECK_TRUE(id != lu.attrs.scsi_id);
  srp::make_unique(lu, 1, "iqn.two");
  CHECK_TRUE(id != lu.attrs.scsi_id);
  srp::make_unique(lu, 1, "iqn.one");
  CHECK_EQUAL(id, std::string{lu.attrs.scsi_id});
  CHECK_EQUAL(serial, std::string{lu.attrs.scsi_sn});
}

TEST(UnitIdentity, make_unique__works_on_units_without_pages) {
  for (srp::tgt::vpd*& page : lu.attrs.lu_vpd) {
    std::free(page);
    page = nullptr;
  }
  srp::make_unique(lu, 1, "iqn.one");
  srp::name_target_port(lu, port);
  POINTERS_EQUAL(nullptr, lu.attrs.lu_vpd[3]);
}

TEST(UnitIdentity, name_target_port__writes_six_designators) {
  std::snprintf(lu.attrs.scsi_id, sizeof lu.attrs.scsi_id, "IET     0123456789abcdef01234567");
  lu.attrs.numeric_id = 0x0123456789abcdef;
  srp::name_target_port(lu, port);
  const auto all = designators(lu);
  CHECK_EQUAL(6U, all.size());

  CHECK_TRUE(all[0].code_set == 2 && all[0].type == 1);
  CHECK_EQUAL(36U, all[0].body.size());
  MEMCMP_EQUAL("IET     0123456789abcdef01234567\0\0\0\0", all[0].body.data(), 36);

  const std::uint8_t local[] = {0x31, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
  CHECK_TRUE(all[1].code_set == 1 && all[1].type == 3 && all[1].body.size() == 8);
  MEMCMP_EQUAL(local, all[1].body.data(), 8);

  // Letters that are no digits count as zero; the E of IET is one.
  const std::uint8_t extended[] = {0x6e, 0,    0,    0,    0x01, 0x23, 0x45, 0x67,
                                   0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67};
  CHECK_TRUE(all[2].code_set == 1 && all[2].type == 3 && all[2].body.size() == 16);
  MEMCMP_EQUAL(extended, all[2].body.data(), 16);

  CHECK_TRUE(all[3].code_set == 0x41 && all[3].type == 0x92 && all[3].body.size() == 16);
  MEMCMP_EQUAL(port.data(), all[3].body.data(), 16);
  const std::uint8_t first[] = {0, 0, 0, 1};
  CHECK_TRUE(all[4].code_set == 0x41 && all[4].type == 0x94 && all[4].body.size() == 4);
  MEMCMP_EQUAL(first, all[4].body.data(), 4);
  CHECK_TRUE(all[5].code_set == 0x41 && all[5].type == 0x95 && all[5].body.size() == 4);
  MEMCMP_EQUAL(first, all[5].body.data(), 4);
}

TEST(UnitIdentity, name_target_port__keeps_the_port_when_tgtadm_sets_another_scsi_id) {
  srp::name_target_port(lu, port);
  char id[] = "mine-fF";
  lu.attrs.lu_vpd[3]->vpd_update(&lu, id);
  const auto all = designators(lu);
  MEMCMP_EQUAL("mine-fF\0", all[0].body.data(), 8);
  CHECK_EQUAL(0, int{all[0].body[35]});
  CHECK_EQUAL(0xff, int{all[2].body[15]});
  CHECK_EQUAL(0x60, int{all[2].body[0]});
  MEMCMP_EQUAL(port.data(), all[3].body.data(), 16);
  std::string longest(60, 'a');
  lu.attrs.lu_vpd[3]->vpd_update(&lu, longest.data());
  CHECK_EQUAL('a', designators(lu)[0].body[35]);
  CHECK_EQUAL(0x6a, int{designators(lu)[2].body[0]});
}

TEST(UnitIdentity, name_target_port__leaves_a_page_that_it_does_not_know) {
  srp::tgt::vpd* page = lu.attrs.lu_vpd[3];
  page->size = 71;
  srp::name_target_port(lu, port);
  POINTERS_EQUAL(page, lu.attrs.lu_vpd[3]);
}
