#include "plugin_api/event_loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "plugin_api/log.h"

namespace srp {

namespace {

// The one scheduled event; trivial statics, because tgtd may call exit() with everything alive.
tgt::event_data scheduled;
EventLoop* current;
bool initialized;

int timer_fd(int per_second) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  itimerspec period{};
  period.it_interval.tv_nsec = period.it_value.tv_nsec = 1'000'000'000 / per_second;
  if (timerfd_settime(fd, 0, &period, nullptr) != 0) {
    const int error = errno;
    close(fd);
    throw std::system_error(error, std::generic_category(), "timerfd_settime");
  }
  return fd;
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

FdWatch::FdWatch(int fd, Handler handler, void* owner) : fd_(fd), handler_(handler), owner_(owner) {
  if (tgt::tgt_event_add(fd, EPOLLIN, on_event, this) != 0) {
    throw std::system_error(errno ? errno : ENOMEM, std::generic_category(), "tgt_event_add");
  }
}

FdWatch::~FdWatch() { tgt::tgt_event_del(fd_); }

void FdWatch::on_event(int, int, void* data) noexcept {
  auto& self = *static_cast<FdWatch*>(data);
  self.handler_(self.owner_);
}

EventLoop::EventLoop() noexcept {
  SRP_ASSERT(current == nullptr);
  if (!initialized) tgt::tgt_init_sched_event(&scheduled, on_scheduled, nullptr);
  initialized = true;
  current = this;
}

EventLoop::~EventLoop() {
  jobs_.clear();
  current = nullptr;
}

void EventLoop::defer(Job& job) noexcept {
  if (job.is_linked()) return;
  jobs_.push_back(job);
  tgt::tgt_add_sched_event(&scheduled);
}

void EventLoop::on_scheduled(tgt::event_data*) noexcept {
  if (current) current->run_jobs();
}

void EventLoop::run_jobs() noexcept {
  Jobs due;
  due.swap(
      jobs_);  // what a job defers waits for the next round, so the loop's descriptors are served
  while (!due.empty()) {
    Job& job = due.front();
    due.pop_front();
    job.run();
    if (!current) {  // a job ended the driver
      due.clear();
      return;
    }
  }
}

Ticker::Ticker(FdWatch::Handler on_tick, void* owner, int per_second)
    : on_tick_(on_tick),
      owner_(owner),
      fd_(timer_fd(per_second)),
      watch_(fd_.get(), on_timer, this) {}

void Ticker::on_timer(void* self) noexcept {
  auto& ticker = *static_cast<Ticker*>(self);
  std::uint64_t expirations = 0;
  // After a stall of the process many periods have expired; peers were stalled by us just as long,
  // so they count as one tick.
  while (read(ticker.fd_.get(), &expirations, sizeof expirations) > 0) {
  }
  ticker.on_tick_(ticker.owner_);
}

void set_nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "fcntl");
  }
}

}  // namespace srp
