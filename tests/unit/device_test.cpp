// What a device is found to be able to, what it tells its owner, and when it is gone.
#include "lld_srp/device.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

struct Calls {
  unsigned events = 0;
  unsigned polls = 0;
  unsigned errors = 0;
  unsigned last_receives = 0;
  Channel* last = nullptr;
};
Calls calls;

const Device::Callbacks callbacks = {
    [](Channel& channel) noexcept { ++calls.events, calls.last = &channel; },
    [](Channel& channel) noexcept { ++calls.polls, calls.last = &channel; },
    [](Channel& channel) noexcept { ++calls.errors, calls.last = &channel; },
    [](Channel& channel) noexcept { ++calls.last_receives, calls.last = &channel; },
};

}  // namespace

TEST_GROUP(Device) {
  std::unique_ptr<BareRig> rig = std::make_unique<BareRig>();
  std::optional<EventLoop> loop;
  Settings settings;
  fake::Hca* hca = nullptr;
  std::unique_ptr<Device> device;
  Channel* const channel = reinterpret_cast<Channel*>(&calls);  // never looked into

  void setup() override {
    calls = {};
    settings.command_mib_max = 1;
    settings.buffer_mib = 16;
    hca = &rig->world.fabric->add_hca();
    loop.emplace();
  }
  void teardown() override {
    device.reset();
    loop.reset();
    rig.reset();
  }
  void open() { device = std::make_unique<Device>(&hca->device, *loop, settings, callbacks); }
  fake::Context& context() { return static_cast<fake::Context&>(device->context()); }
  // A completion queue and a queue pair of the channel.
  struct Pair {
    ibv_cq* cq;
    ibv_qp* qp;
    ~Pair() {
      if (qp != nullptr) ibv_destroy_qp(qp);
      ibv_destroy_cq(cq);
    }
  };
  Pair make_pair() {
    Pair pair{ibv_create_cq(&device->context(), 4, channel, &device->completions(), 0), nullptr};
    ibv_qp_init_attr init{};
    init.qp_context = channel;
    init.send_cq = init.recv_cq = pair.cq;
    init.qp_type = IBV_QPT_RC;
    pair.qp = ibv_create_qp(&device->pd(), &init);
    return pair;
  }
  // This happens to the queue pair, or to the completion queue.
  void raise(ibv_event_type type, const Pair& pair) {
    ibv_async_event event{};
    event.event_type = type;
    if (type == IBV_EVENT_CQ_ERR) {
      event.element.cq = pair.cq;
    } else {
      event.element.qp = pair.qp;
    }
    context().events.push_back(event);
    rig->run_loop();
  }
  void raise(ibv_event_type type) {
    ibv_async_event event{};
    event.event_type = type;
    event.element.port_num = 1;
    context().events.push_back(event);
    rig->run_loop();
  }
  std::string sysfs_entry() {
    std::string path = rig->config.path() + "-device";
    close(creat(path.c_str(), 0600));
    std::snprintf(hca->device.dev_path, sizeof hca->device.dev_path, "%s", path.c_str());
    return path;
  }
};

TEST(Device, constructor__finds_the_limits) {
  hca->limits.max_qp_wr = 100;
  hca->limits.max_cqe = 200;
  hca->limits.max_qp_init_rd_atom = 3;
  hca->message_bytes_max = 4096;
  open();
  CHECK_EQUAL(100U, device->limits().send_wrs_max);
  CHECK_EQUAL(200U, device->limits().cqes_max);
  CHECK_EQUAL(3U, unsigned{device->limits().read_depth_max});
  CHECK_EQUAL(4096U, device->limits().message_bytes_max);
  CHECK_FALSE(device->limits().iwarp);
  STRCMP_EQUAL("fake0", device->name().c_str());
  CHECK_TRUE(device->is(&hca->device));
  CHECK_FALSE(device->is(nullptr));
}

TEST(Device, constructor__bounds_what_a_device_claims) {
  hca->limits.max_qp_wr = -1;
  hca->limits.max_cqe = -1;
  hca->limits.max_qp_init_rd_atom = 255;
  hca->message_bytes_max = 0;  // as drivers say whose port is down
  open();
  CHECK_EQUAL(0U, device->limits().send_wrs_max);
  CHECK_EQUAL(0U, device->limits().cqes_max);
  CHECK_EQUAL(unsigned{read_depth_max}, unsigned{device->limits().read_depth_max});
  CHECK_EQUAL(1U << 31, device->limits().message_bytes_max);
}

TEST(Device, constructor__a_device_without_reads_has_depth_0) {
  hca->limits.max_qp_init_rd_atom = -5;
  open();
  CHECK_EQUAL(0U, unsigned{device->limits().read_depth_max});
}

TEST(Device, constructor__data_memory_may_be_read_into_and_on_iwarp_be_written_by_the_peer) {
  open();
  for (const auto& mr : rig->world.fabric->mrs)
    CHECK_EQUAL(int{IBV_ACCESS_LOCAL_WRITE}, mr->access);
  // The first extents for data and for tables, the scratch page.
  CHECK_EQUAL(3U, rig->world.fabric->mrs.size());
  device.reset();
  hca->device.transport_type = IBV_TRANSPORT_IWARP;
  open();
  CHECK_TRUE(device->limits().iwarp);
  CHECK_EQUAL(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
              rig->world.fabric->mrs.front()->access);
  CHECK_EQUAL(int{IBV_ACCESS_LOCAL_WRITE}, rig->world.fabric->mrs.back()->access);
}

TEST(Device, constructor__extents_are_a_power_of_two_that_holds_the_largest_command) {
  settings.command_mib_max = 3;
  open();
  CHECK_EQUAL(std::size_t{4} << 20, device->buffers().extent_bytes());
  CHECK_EQUAL(std::size_t{4} << 20, device->buffers().bytes_registered());
}

TEST(Device, scratch__is_a_page_of_its_own) {
  open();
  CHECK_EQUAL(0U, reinterpret_cast<std::uintptr_t>(device->scratch()) % page_bytes);
  CHECK_EQUAL(page_bytes, rig->world.fabric->mrs.back()->length);
  POINTERS_EQUAL(device->scratch(), rig->world.fabric->mrs.back()->addr);
}

TEST(Device, constructor__leaves_nothing_behind_where_it_fails) {
  for (const auto fault : {fake::Fault::create, fake::Fault::reg_mr, fake::Fault::watch}) {
    rig->world.faults.set(fault, 1);
    CHECK_THROWS(std::system_error, open());
    rig->world.faults.clear();
    rig->world.fabric->expect_nothing_left();
  }
  rig->world.faults.set(fake::Fault::create, 0.2);
  unsigned failures = 0;
  for (int i = 0; i < 40; ++i) {
    try {
      open();
    } catch (const std::system_error&) {
      ++failures;
    }
    device.reset();
    rig->world.fabric->expect_nothing_left();
  }
  CHECK_TRUE(failures > 0 && failures < 40);
}

// ---- completion events ----

TEST(Device, on_completion_event__goes_to_the_channel_of_its_queue) {
  open();
  const Pair pair = make_pair();
  auto& cq = *static_cast<fake::Cq*>(pair.cq);
  static_cast<fake::CompChannel&>(device->completions()).events.push_back(&cq);
  rig->run_loop();
  CHECK_EQUAL(1U, calls.events);
  POINTERS_EQUAL(channel, calls.last);
  CHECK_EQUAL(0U, calls.polls);
  ibv_ack_cq_events(&cq, 1);
}

TEST(Device, on_completion_event__takes_so_many_and_leaves_the_others_for_the_next_round) {
  open();
  const Pair pair = make_pair();
  auto& cq = *static_cast<fake::Cq*>(pair.cq);
  auto& events = static_cast<fake::CompChannel&>(device->completions()).events;
  for (int i = 0; i < poll_budget + 5; ++i) events.push_back(&cq);
  while (events.size() == poll_budget + 5) rig->world.tgtd->turn();
  CHECK_EQUAL(static_cast<unsigned>(poll_budget), calls.events);
  CHECK_EQUAL(5U, events.size());
  rig->run_loop();
  CHECK_EQUAL(static_cast<unsigned>(poll_budget) + 5, calls.events);
  ibv_ack_cq_events(&cq, poll_budget + 5);
}

TEST(Device, poll__asks_the_owner) {
  open();
  device->poll(*channel);
  CHECK_EQUAL(1U, calls.polls);
  POINTERS_EQUAL(channel, calls.last);
}

// ---- asynchronous events ----

TEST(Device, handle_async__errors_of_a_queue_pair_go_to_its_channel) {
  open();
  const Pair pair = make_pair();
  unsigned expected = 0;
  for (const auto type :
       {IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR, IBV_EVENT_CQ_ERR}) {
    const std::string log = log_of([&] { raise(type, pair); });
    ++expected;
    CHECK_EQUAL(expected, calls.errors);
    POINTERS_EQUAL(channel, calls.last);
    STRCMP_CONTAINS("error: srp: device fake0:", log.c_str());
  }
  CHECK_FALSE(device->removed());
}

TEST(Device, handle_async__fatal_error_of_the_device_means_that_it_is_gone) {
  open();
  raise(IBV_EVENT_DEVICE_FATAL);
  CHECK_TRUE(device->removed());
  CHECK_EQUAL(0U, calls.errors);
  raise(IBV_EVENT_PORT_ERR);  // its descriptors are not watched any more, and may say anything
  CHECK_EQUAL(1U, context().events.size());
}

TEST(Device, handle_async__a_port_that_goes_down_ends_nothing) {
  open();
  for (const auto type : {IBV_EVENT_PORT_ERR, IBV_EVENT_PORT_ACTIVE}) {
    STRCMP_CONTAINS("notice: srp: device fake0: port 1:", log_of([&] { raise(type); }).c_str());
  }
  CHECK_FALSE(device->removed());
  CHECK_EQUAL(0U, calls.errors);
}

TEST(Device, handle_async__other_events_are_only_logged) {
  open();
  const Pair pair = make_pair();
  for (const auto type : {IBV_EVENT_COMM_EST, IBV_EVENT_SQ_DRAINED, IBV_EVENT_PATH_MIG}) {
    STRCMP_CONTAINS("debug: srp: device fake0:", log_of([&] { raise(type, pair); }).c_str());
  }
  raise(IBV_EVENT_GID_CHANGE);
  CHECK_FALSE(device->removed());
  CHECK_EQUAL(0U, calls.errors);
}

TEST(Device, on_async_event__all_that_are_there_are_taken) {
  open();
  const Pair pair = make_pair();
  for (int i = 0; i < 5; ++i) {
    ibv_async_event event{};
    event.event_type = IBV_EVENT_QP_FATAL;
    event.element.qp = pair.qp;
    context().events.push_back(event);
  }
  rig->run_loop();
  CHECK_EQUAL(5U, calls.errors);
  CHECK_EQUAL(0U, static_cast<fake::Qp*>(pair.qp)->async_unacked);
}

// ---- is it still there? ----

TEST(Device, still_there__without_an_entry_in_sysfs_it_is) {
  open();
  CHECK_TRUE(device->still_there());
  const std::string path = sysfs_entry();  // of something else
  CHECK_TRUE(device->still_there());
  unlink(path.c_str());
}

TEST(Device, still_there__its_entry_must_be_the_one_that_was_opened) {
  const std::string path = sysfs_entry();
  open();
  CHECK_TRUE(device->still_there());
  const std::string other = path + "-other";
  close(creat(other.c_str(), 0600));
  std::rename(other.c_str(), path.c_str());  // a device of the same name
  CHECK_FALSE(device->still_there());
  unlink(path.c_str());
  CHECK_FALSE(device->still_there());
}

TEST(Device, attach__counts_channels_in_and_out) {
  open();
  device->attach();
  device->attach();
  CHECK_EQUAL(2U, device->channels());
  device->detach();
  CHECK_EQUAL(1U, device->channels());
  device->detach();
  CHECK_FALSE(device->removed());
  device->mark_removed();
  CHECK_TRUE(device->removed());
}
