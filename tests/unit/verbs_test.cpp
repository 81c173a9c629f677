// Owners of verbs objects, errors of verbs, registered memory, tags of work requests.
#include "lld_srp/verbs.h"

#include <fstream>
#include <string_view>
#include <system_error>

#include "tests/unit/harness.h"
#include "tests/unit/observe.h"
#include "tests/unit/tgtd_fixture.h"

using srp::fake::Fault;
using srp::test::log_of;
using srp::verbs::RegisteredMemory;
using srp::verbs::Work;
using srp::verbs::WorkKind;

namespace {

// The error that action throws: its code, and what for; 0 if it throws none.
template <class Action>
int error_of(Action&& action, std::string_view what) {
  try {
    action();
  } catch (const std::system_error& error) {
    CHECK(std::string_view{error.what()}.starts_with(what));
    CHECK(error.code().category() == std::generic_category());
    return error.code().value();
  }
  return 0;
}

struct Object {};
int destroyed;
int destroy(Object*) {
  ++destroyed;
  return 0;
}
int refuse(Object*) { return EBUSY; }
int refuse_by_errno(Object*) {
  errno = EINVAL;
  return -1;
}

// Pages of address space that this process has.
std::size_t pages_mapped() {
  std::size_t pages = 0;
  std::ifstream{"/proc/self/statm"} >> pages;
  return pages;
}

template <auto Destroy>
void own(Object& object) {
  std::unique_ptr<Object, srp::verbs::Destroyer<Destroy>>{&object};
}

}  // namespace

TEST_GROUP_BASE(Verbs, srp::test::DeviceTest){};

TEST(Verbs, required__is_the_object_or_throws_errno) {
  int object = 0;
  POINTERS_EQUAL(&object, srp::verbs::required(&object, "ibv_alloc_pd"));
  errno = ENOSPC;
  int* none = nullptr;
  CHECK_EQUAL(ENOSPC,
              error_of([&] { srp::verbs::required(none, "ibv_alloc_pd"); }, "ibv_alloc_pd"));
}

TEST(Verbs, require__understands_both_conventions) {
  errno = ENOSPC;
  CHECK_EQUAL(0, error_of([] { srp::verbs::require(0, "call"); }, "call"));
  CHECK_EQUAL(EAGAIN, error_of([] { srp::verbs::require(EAGAIN, "call"); }, "call"));
  errno = ENOSPC;
  CHECK_EQUAL(ENOSPC, error_of([] { srp::verbs::require(-1, "call"); }, "call"));
}

TEST(Verbs, destroyer__destroys_once_and_reports_a_refusal) {
  Object object;
  destroyed = 0;
  CHECK_EQUAL(std::string{}, log_of([&] { own<destroy>(object); }));
  CHECK_EQUAL(1, destroyed);
  const std::string busy = "error " + std::to_string(EBUSY);
  STRCMP_CONTAINS(busy.c_str(), log_of([&] { own<refuse>(object); }).c_str());
  const std::string invalid = "error " + std::to_string(EINVAL);
  STRCMP_CONTAINS(invalid.c_str(), log_of([&] { own<refuse_by_errno>(object); }).c_str());
}

TEST(Verbs, handles__of_what_a_device_has_are_destroyed_bottom_to_top) {
  srp::verbs::Context own_context{ibv_open_device(&hca.device)};
  srp::verbs::Pd own_pd{ibv_alloc_pd(own_context.get())};
  srp::verbs::CompChannel channel{ibv_create_comp_channel(own_context.get())};
  srp::verbs::Cq cq{ibv_create_cq(own_context.get(), 4, nullptr, channel.get(), 0)};
  ibv_qp_init_attr attributes{};
  attributes.send_cq = attributes.recv_cq = cq.get();
  attributes.qp_type = IBV_QPT_RC;
  srp::verbs::Qp qp{ibv_create_qp(own_pd.get(), &attributes)};
  CHECK(qp != nullptr);
}

TEST(Verbs, handles__of_the_connection_manager) {
  srp::verbs::EventChannel channel{rdma_create_event_channel()};
  CHECK(channel != nullptr);
  rdma_cm_id* id = nullptr;
  CHECK_EQUAL(0, rdma_create_id(channel.get(), &id, nullptr, RDMA_PS_TCP));
  srp::verbs::CmId owner{id};
  owner.reset();
}

TEST(Verbs, registered_memory__is_whole_zeroed_pages) {
  RegisteredMemory memory{*pd, 8192, IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE};
  CHECK_EQUAL(8192u, memory.size());
  CHECK_EQUAL(0u, reinterpret_cast<std::uintptr_t>(memory.data()) % 4096);
  for (std::size_t i = 0; i < memory.size(); ++i) CHECK(memory.data()[i] == 0);
  memory.data()[0] = memory.data()[8191] = 1;
}

TEST(Verbs, registered_memory__is_registered_as_long_as_it_lives) {
  {
    RegisteredMemory memory{*pd, 4096, IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE};
    CHECK_EQUAL(1u, world.fabric->mrs.size());
    const auto& mr = *world.fabric->mrs[0];
    POINTERS_EQUAL(pd, mr.pd);
    POINTERS_EQUAL(memory.data(), mr.addr);
    CHECK_EQUAL(4096u, mr.length);
    CHECK_EQUAL(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE, mr.access);
    CHECK_EQUAL(mr.lkey, memory.lkey());
  }
  CHECK_EQUAL(0u, world.fabric->mrs.size());
}

TEST(Verbs, registered_memory__that_cannot_be_registered_throws) {
  world.faults.set(Fault::reg_mr, 1);
  CHECK_EQUAL(ENOMEM, error_of([&] { RegisteredMemory{*pd, 4096, 0}; }, "ibv_reg_mr"));
  hca.present = false;
  CHECK_EQUAL(EIO, error_of([&] { RegisteredMemory{*pd, 4096, 0}; }, "ibv_reg_mr"));
  hca.present = true;
}

TEST(Verbs, registered_memory__of_more_than_there_is_throws) {
  constexpr std::size_t too_much = std::size_t{1} << 60;
  CHECK_EQUAL(ENOMEM, error_of([&] { RegisteredMemory{*pd, too_much, 0}; }, "mmap"));
  CHECK_EQUAL(0u, world.fabric->mrs.size());
}

TEST(Verbs, registered_memory__leaves_no_pages_behind) {
  constexpr std::size_t bytes = std::size_t{1} << 30;
  const std::size_t before = pages_mapped();
  {
    const RegisteredMemory memory{*pd, bytes, 0};
    CHECK(pages_mapped() >= before + bytes / 4096);
  }
  CHECK(pages_mapped() < before + bytes / 8192);
  world.faults.set(Fault::reg_mr, 1);
  CHECK_EQUAL(ENOMEM, error_of([&] { RegisteredMemory{*pd, bytes, 0}; }, "ibv_reg_mr"));
  CHECK(pages_mapped() < before + bytes / 8192);
}

TEST(Verbs, work__is_found_again_by_its_number) {
  for (const WorkKind kind : {WorkKind::receive, WorkKind::unsignaled}) {
    Work work{kind};
    ibv_wc completion{};
    completion.wr_id = work.id();
    POINTERS_EQUAL(&work, &Work::of(completion));
    CHECK(Work::of(completion).kind == kind);
  }
}
