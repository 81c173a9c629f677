// Descriptors, jobs and ticks in tgtd's loop.
#include "plugin_api/event_loop.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "tests/unit/harness.h"
#include "tests/unit/observe.h"
#include "tests/unit/tgtd_fixture.h"

using srp::EventLoop;
using srp::FdWatch;
using srp::Job;
using srp::Ticker;
using srp::UniqueFd;
using srp::fake::Fault;

namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    ++count;
  }
  return count;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

void count(void* calls) noexcept { ++*static_cast<int*>(calls); }

template <class Action>
int error_of(Action&& action) {
  try {
    action();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

// To the fake tgtd a descriptor that is no event channel is a timer: tick() calls its handler.
TEST_GROUP_BASE(FdWatch, srp::test::TgtdTest) {
  UniqueFd fd{eventfd(0, EFD_NONBLOCK)};
  int calls = 0;
};

TEST(FdWatch, calls_its_handler_with_its_owner_as_long_as_it_lives) {
  {
    const FdWatch watch{fd.get(), count, &calls};
    tgtd.tick();
    tgtd.tick();
    CHECK_EQUAL(2, calls);
  }
  tgtd.tick();
  CHECK_EQUAL(2, calls);
  tgtd.expect_unwatched(fd.get(), "the test");
}

TEST(FdWatch, throws_what_tgtd_says) {
  const FdWatch watch{fd.get(), count, &calls};
  CHECK_EQUAL(EEXIST, error_of([&] { FdWatch{fd.get(), count, &calls}; }));
  tgtd.tick();
  CHECK_EQUAL(1, calls);
}

TEST(FdWatch, throws_out_of_memory_where_tgtd_says_nothing) {
  world.faults.set(Fault::watch, 1);
  errno = 0;
  CHECK_EQUAL(ENOMEM, error_of([&] { FdWatch{fd.get(), count, &calls}; }));
}

TEST_GROUP(UniqueFd){};

TEST(UniqueFd, closes_what_it_holds) {
  const int number = eventfd(0, 0);
  {
    const UniqueFd fd{number};
    CHECK_EQUAL(number, fd.get());
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST(UniqueFd, may_hold_nothing) {
  errno = 0;
  { const UniqueFd fd{-1}; }
  CHECK_EQUAL(0, errno);
}

TEST(UniqueFd, closes_descriptor_zero_too) {
  const int saved = dup(STDIN_FILENO);
  close(STDIN_FILENO);
  {
    const UniqueFd fd{eventfd(0, 0)};
    CHECK_EQUAL(0, fd.get());
  }
  CHECK_FALSE(is_open(STDIN_FILENO));
  if (saved >= 0) {
    dup2(saved, STDIN_FILENO);
    close(saved);
  }
}

TEST_GROUP_BASE(EventLoop, srp::test::TgtdTest) { std::optional<EventLoop> loop{std::in_place}; };

TEST(EventLoop, defer__runs_a_job_once_after_the_current_handler) {
  int calls = 0;
  Job job{count, &calls};
  loop->defer(job);
  CHECK_EQUAL(0, calls);
  CHECK(tgtd.busy());
  tgtd.turn();
  CHECK_EQUAL(1, calls);
  CHECK_FALSE(tgtd.busy());
  tgtd.turn();
  CHECK_EQUAL(1, calls);
}

TEST(EventLoop, defer__of_a_job_that_waits_leaves_it_where_it_is) {
  static std::vector<int> order;
  order.clear();
  Job one{[](void*) noexcept { order.push_back(1); }, nullptr};
  Job two{[](void*) noexcept { order.push_back(2); }, nullptr};
  loop->defer(one);
  loop->defer(two);
  loop->defer(one);
  tgtd.turn();
  CHECK((order == std::vector{1, 2}));
  order.shrink_to_fit();
}

TEST(EventLoop, defer__from_a_job_waits_for_the_next_round) {
  struct Again {
    EventLoop& loop;
    int calls = 0;
    Job job{[](void* self) noexcept {
              auto& again = *static_cast<Again*>(self);
              if (++again.calls < 3) again.loop.defer(again.job);
            },
            this};
  } again{*loop};
  loop->defer(again.job);
  for (int round = 1; round <= 3; ++round) {
    tgtd.turn();
    CHECK_EQUAL(round, again.calls);
  }
  tgtd.turn();
  CHECK_EQUAL(3, again.calls);
}

TEST(EventLoop, a_job_that_is_destroyed_does_not_run) {
  int calls = 0;
  {
    Job job{count, &calls};
    loop->defer(job);
  }
  tgtd.turn();
  CHECK_EQUAL(0, calls);
}

TEST(EventLoop, a_job_may_destroy_the_next_one) {
  int calls = 0;
  std::optional<Job> victim;
  Job killer{[](void* job) noexcept { static_cast<std::optional<Job>*>(job)->reset(); }, &victim};
  victim.emplace(count, &calls);
  loop->defer(killer);
  loop->defer(*victim);
  tgtd.turn();
  CHECK_EQUAL(0, calls);
}

TEST(EventLoop, a_loop_that_has_ended_runs_nothing) {
  int calls = 0;
  Job job{count, &calls};
  loop->defer(job);
  loop.reset();
  tgtd.turn();
  CHECK_EQUAL(0, calls);
}

TEST(EventLoop, a_job_may_end_the_loop_and_the_jobs_behind_it_do_not_run) {
  int calls = 0;
  Job last{[](void* owner) noexcept { static_cast<std::optional<EventLoop>*>(owner)->reset(); },
           &loop};
  Job never{count, &calls};
  loop->defer(last);
  loop->defer(never);
  tgtd.turn();
  CHECK_FALSE(loop.has_value());
  CHECK_EQUAL(0, calls);
  tgtd.turn();
  CHECK_EQUAL(0, calls);
}

TEST(EventLoop, a_second_life_starts_without_the_jobs_of_the_first) {
  int old_calls = 0;
  int calls = 0;
  Job old{count, &old_calls};
  Job job{count, &calls};
  loop->defer(old);
  loop.reset();
  loop.emplace();
  loop->defer(job);
  tgtd.turn();
  CHECK_EQUAL(0, old_calls);
  CHECK_EQUAL(1, calls);
}

TEST(EventLoop, there_is_only_one_at_a_time) {
  STRCMP_CONTAINS("current == nullptr",
                  srp::test::last_words([] { const EventLoop second; }).c_str());
}

TEST_GROUP_BASE(Ticker, srp::test::TgtdTest){};

TEST(Ticker, calls_once_a_tick_as_long_as_it_lives) {
  int ticks = 0;
  {
    const Ticker ticker{count, &ticks};
    CHECK_EQUAL(0, ticks);
    tgtd.tick();
    CHECK_EQUAL(1, ticks);
    tgtd.tick();
    CHECK_EQUAL(2, ticks);
  }
  tgtd.tick();
  CHECK_EQUAL(2, ticks);
}

TEST(Ticker, leaves_no_descriptor_behind) {
  int ticks = 0;
  const std::size_t before = open_descriptors();
  {
    const Ticker ticker{count, &ticks};
    CHECK_EQUAL(before + 1, open_descriptors());
  }
  CHECK_EQUAL(before, open_descriptors());
  world.faults.set(Fault::watch, 1);
  CHECK_THROWS(std::system_error, (Ticker{count, &ticks}));
  CHECK_EQUAL(before, open_descriptors());
}

TEST_GROUP(SetNonblocking){};

TEST(SetNonblocking, makes_a_descriptor_nonblocking_and_close_on_exec) {
  int ends[2];
  CHECK_EQUAL(0, pipe(ends));
  srp::set_nonblocking(ends[0]);
  CHECK((fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(ends[0], F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0);
  CHECK((fcntl(ends[1], F_GETFD) & FD_CLOEXEC) == 0);
  for (const int fd : ends) close(fd);
}

TEST(SetNonblocking, keeps_the_other_flags) {
  const UniqueFd fd{open("/dev/null", O_WRONLY | O_APPEND)};
  srp::set_nonblocking(fd.get());
  CHECK_EQUAL(O_WRONLY | O_APPEND | O_NONBLOCK,
              fcntl(fd.get(), F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
}

TEST(SetNonblocking, throws_where_there_is_no_descriptor) {
  CHECK_EQUAL(EBADF, error_of([] { srp::set_nonblocking(-1); }));
}
