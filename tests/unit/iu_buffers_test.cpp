// Data buffers of SRP_CMD: how counts, tables and lengths agree in IUs that are accepted; and IUs
// of chance.
#include "lld_srp/iu.h"
#include "tests/fake/random.h"
#include "tests/unit/bytes.h"
#include "tests/unit/golden.h"
#include "tests/unit/harness.h"
#include "tests/unit/iu_commands.h"

using srp::CmdFault;
using srp::CmdRequest;
using srp::DataBuffer;
using srp::parse_cmd;
using srp::test::Bytes;
using srp::test::CmdIu;
using srp::test::from_hex;
using srp::test::prefix;

namespace {

CmdRequest good(const Bytes& iu) {
  CmdRequest request;
  CHECK(parse_cmd(iu, 0, request) == CmdFault::none);
  return request;
}

CmdFault fault_of(const Bytes& iu) {
  CmdRequest request;
  return parse_cmd(iu, 0, request);
}

// What the rest of the driver relies on.
void check_invariants(const Bytes& iu, const CmdRequest& request) {
  const auto inside = [&iu](const void* data, std::size_t bytes) {
    const auto* first = static_cast<const std::uint8_t*>(data);
    return first >= iu.data() && first + bytes <= iu.data() + iu.size();
  };
  CHECK(request.cdb.size() >= 16 && inside(request.cdb.data(), request.cdb.size()));
  for (const DataBuffer* buffer : {&request.out, &request.in}) {
    std::uint64_t sum = 0;
    for (const auto& piece : buffer->descriptors) sum += piece.bytes;
    CHECK(sum >= buffer->bytes || buffer->incomplete() || !buffer->inside.empty());
    CHECK(buffer->inside.empty() || inside(buffer->inside.data(), buffer->inside.size()));
    CHECK(buffer->table_count <= 2048);
    CHECK(buffer->bytes <= 0xffffffff);
    CHECK(buffer->descriptors.empty() ||
          inside(buffer->descriptors.data(), buffer->descriptors.size_bytes()));
  }
}

}  // namespace

TEST_GROUP(IuBuffers){};

TEST(IuBuffers, direct__of_any_length_and_address) {
  const srp::test::Piece pieces[] = {
      {0x7f00, 1, 0}, {0x7f00, 1, 0xffffffff}, {0xfffffffffffff000, 1, 8192},
      {0, 0, 1},      {3, 0xffffffff, 4093},
  };
  for (const auto& piece : pieces) {
    const Bytes iu = CmdIu(0x01).piece(piece).get();
    const DataBuffer in = good(iu).in;
    CHECK(in.bytes == piece.bytes);
    CHECK_EQUAL(1u, in.descriptors.size());
    CHECK(std::uint64_t{in.descriptors[0].address} == piece.address);
    CHECK_EQUAL(piece.key, std::uint32_t{in.descriptors[0].key});
  }
}

TEST(IuBuffers, indirect__counts_of_a_single_direction_are_added) {
  for (const unsigned formats : {0x02U, 0x20U}) {
    for (unsigned out_count = 0; out_count <= 3; ++out_count) {
      const Bytes iu = CmdIu(formats, out_count, 3 - out_count).table(48, 6).pieces(3, 2).get();
      const CmdRequest request = good(iu);
      const DataBuffer& buffer = formats == 0x02 ? request.in : request.out;
      CHECK_EQUAL(3u, buffer.descriptors.size());
      CHECK(buffer.bytes == 6);
    }
  }
}

TEST(IuBuffers, indirect__510_descriptors_of_one_direction) {
  const Bytes iu = CmdIu(0x02, 255, 255).table(510 * 16, 510).pieces(510, 1).get();
  CHECK_EQUAL(510u, good(iu).in.descriptors.size());
  CHECK(fault_of(prefix(iu, iu.size() - 1)) == CmdFault::too_short);
}

TEST(IuBuffers, indirect__descriptors_beyond_the_table_are_skipped) {
  const Bytes iu = CmdIu(0x21, 3, 0).table(32, 2).pieces(3, 1).piece({7, 8, 9}).get();
  const CmdRequest request = good(iu);
  CHECK_EQUAL(2u, request.out.descriptors.size());
  CHECK(std::uint64_t{request.in.descriptors[0].address} == 7);
}

TEST(IuBuffers, indirect__descriptors_beyond_the_table_hold_no_data) {
  CHECK(fault_of(CmdIu(0x20, 3, 0).table(32, 3).pieces(3, 1).get()) == CmdFault::invalid_field);
}

TEST(IuBuffers, indirect__lengths_are_added_without_overflow) {
  const Bytes all = CmdIu(0x20, 255).table(255 * 16, 0xffffffff).pieces(255, 0xffffffff).get();
  CHECK(good(all).out.bytes == 0xffffffff);
  const Bytes two = CmdIu(0x20, 2).table(32, 16).piece({0, 0, 0xffffffff}).piece({0, 0, 1}).get();
  CHECK(good(two).out.bytes == 16);
}

TEST(IuBuffers, indirect__data_may_be_shorter_than_its_descriptors) {
  const Bytes iu = CmdIu(0x02, 0, 2).table(32, 5).pieces(2, 4096).get();
  const DataBuffer in = good(iu).in;
  CHECK(in.bytes == 5);
  CHECK_EQUAL(2u, in.descriptors.size());
}

TEST(IuBuffers, both_directions__each_has_its_own_count) {
  const Bytes iu = CmdIu(0x22, 1, 2).table(16, 4).piece({1, 1, 4}).table(32, 6).pieces(2, 3).get();
  const CmdRequest request = good(iu);
  CHECK_EQUAL(1u, request.out.descriptors.size());
  CHECK(std::uint64_t{request.out.descriptors[0].address} == 1);
  CHECK(request.out.bytes == 4);
  CHECK_EQUAL(2u, request.in.descriptors.size());
  CHECK(std::uint64_t{request.in.descriptors[1].address} == 0x20000);
  CHECK(request.in.bytes == 6);
  // The other direction's count does not help out.
  CHECK(fault_of(CmdIu(0x22, 0, 3).table(16, 4).pieces(1, 4).table(32, 6).pieces(2, 3).get()) ==
        CmdFault::invalid_field);
}

TEST(IuBuffers, both_directions__direct_and_indirect) {
  const Bytes out_direct = CmdIu(0x12, 0, 1).piece({1, 1, 4}).table(16, 6).piece({2, 2, 6}).get();
  CmdRequest request = good(out_direct);
  CHECK(request.out.bytes == 4);
  CHECK(request.in.bytes == 6);
  const Bytes in_direct = CmdIu(0x21, 1, 0).table(16, 6).piece({2, 2, 6}).piece({1, 1, 4}).get();
  request = good(in_direct);
  CHECK(request.out.bytes == 6);
  CHECK(request.in.bytes == 4);
  CHECK(std::uint64_t{request.in.descriptors[0].address} == 1);
}

TEST(IuBuffers, both_directions__a_fault_of_either_is_a_fault) {
  const CmdIu bad_out = CmdIu(0x21, 1, 0).table(17, 6).piece({2, 2, 6}).piece({1, 1, 4});
  CHECK(fault_of(bad_out.get()) == CmdFault::invalid_field);
  const CmdIu bad_in = CmdIu(0x12, 0, 1).piece({1, 1, 4}).table(16, 7).piece({2, 2, 6});
  CHECK(fault_of(bad_in.get()) == CmdFault::invalid_field);
}

TEST(IuBuffers, parse_cmd__of_mutated_ius_stays_within_them) {
  const Bytes originals[] = {
      from_hex(srp::test::g5_cmd_direct),
      from_hex(srp::test::g6_cmd_indirect),
      CmdIu(0x22, 2, 3).table(32, 100).pieces(2, 50).table(48, 90).pieces(3, 30).get(),
      CmdIu(0x12, 0, 4).additional_cdb(8, 8).piece({1, 2, 3}).table(64, 20).pieces(4, 5).get(),
  };
  srp::fake::Random random{2002};
  unsigned accepted = 0;
  for (int round = 0; round < 100000; ++round) {
    const Bytes& original = originals[random.below(std::size(originals))];
    Bytes iu = prefix(original,
                      random.chance(0.3) ? random.between(48, original.size()) : original.size());
    for (std::size_t i = random.between(1, 4); i > 0; --i) {
      // Half of the time where the lengths and counts are.
      const std::size_t at = random.chance(0.5) ? random.below(iu.size())
                                                : random.between(5, 7) + (random.byte() & 1) * 24;
      iu[at % iu.size()] = random.chance(0.5) ? random.byte() : std::uint8_t(random.below(5));
    }
    if (srp::classify(iu) != srp::wire::Opcode::cmd) continue;
    CmdRequest request;
    const CmdFault fault = parse_cmd(iu, 0, request);
    CHECK(fault == CmdFault::none || fault == CmdFault::too_short ||
          fault == CmdFault::invalid_field);
    if (fault != CmdFault::none) continue;
    check_invariants(iu, request);
    ++accepted;
  }
  CHECK(accepted > 1000);
}

TEST(IuBuffers, parse__of_noise_stays_within_it) {
  srp::fake::Random random{365};
  for (int round = 0; round < 20000; ++round) {
    Bytes iu(random.below(300));
    for (auto& byte : iu) byte = random.byte();
    if (!iu.empty()) iu[0] = static_cast<std::uint8_t>(random.below(4));
    const auto opcode = srp::classify(iu);
    if (opcode == srp::wire::Opcode::tsk_mgmt) (void)srp::parse_task(iu);
    CmdRequest request;
    if (opcode == srp::wire::Opcode::cmd && parse_cmd(iu, 0, request) == CmdFault::none) {
      check_invariants(iu, request);
    }
    srp::LoginRequest login;
    (void)srp::parse_login(iu, srp::LoginForm::rdma_cm, login);
    (void)srp::parse_login(iu, srp::LoginForm::ib_cm, login);
  }
}

TEST_GROUP(IuTask){};

TEST(IuTask, parse_task__reads_G11) {
  const Bytes iu = from_hex(srp::test::g11_tsk_mgmt);
  const srp::TaskRequest task = srp::parse_task(iu);
  CHECK(task.tag == (srp::wire::Tag{{1, 0, 0, 0x80}}));
  CHECK((task.lun == srp::wire::Lun{0, 1}));
  CHECK(task.function == srp::wire::TaskFunction::abort_task);
  CHECK(task.task_tag == (srp::wire::Tag{{0x2a, 0, 1}}));
}

TEST(IuTask, parse_task__passes_on_every_function_and_ignores_reserved_fields) {
  Bytes iu(48, 0xff);
  for (unsigned function = 0; function < 256; ++function) {
    iu[30] = static_cast<std::uint8_t>(function);
    CHECK_EQUAL(function, static_cast<unsigned>(srp::parse_task(iu).function));
  }
}

TEST(IuTask, parse_task__needs_48_bytes_of_any_longer_iu) {
  Bytes iu = from_hex(srp::test::g11_tsk_mgmt);
  for (std::size_t size = 0; size < iu.size(); ++size) {
    CHECK_FALSE(srp::classify(prefix(iu, size)).has_value());
  }
  iu.resize(100, 0xff);
  CHECK(srp::parse_task(iu).task_tag == (srp::wire::Tag{{0x2a, 0, 1}}));
}
