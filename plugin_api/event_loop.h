// tgtd's event loop, in the form the driver uses: watched file descriptors, jobs that run after the
// current handler has returned, and a clock of coarse ticks. Main thread only.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "plugin_api/tgt_abi.h"

namespace srp {

// Closes what it holds.
class UniqueFd {
 public:
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  ~UniqueFd();
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;

  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// A file descriptor in tgtd's epoll set, level-triggered, from construction to destruction. The
// descriptor must be non-blocking and outlive the watch. tgtd drops the rest of a batch of events
// whenever any watch ends, so a handler drains its descriptor and relies on being called again.
class FdWatch {
 public:
  using Handler = void (*)(void* owner) noexcept;

  // Throws std::system_error where tgtd refuses the descriptor.
  FdWatch(int fd, Handler handler, void* owner);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

 private:
  static void on_event(int fd, int events, void* data) noexcept;

  int fd_;
  Handler handler_;
  void* owner_;
};

// Something to do soon, outside the call that asks for it. Ends its own membership when destroyed.
class Job : public boost::intrusive::list_base_hook<
                boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  using Run = void (*)(void* owner) noexcept;

  Job(Run function, void* owner) noexcept : run_(function), owner_(owner) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void run() noexcept { run_(owner_); }

 private:
  Run run_;
  void* owner_;
};

// The jobs of one driver instance. tgtd corrupts its list of scheduled events when one is removed
// or freed while handlers run, so there is one event for the whole process, which is never removed.
class EventLoop {
 public:
  EventLoop() noexcept;
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs job once, after the current handler; a job that waits already is left where it is.
  void defer(Job& job) noexcept;

 private:
  static void on_scheduled(tgt::event_data* event) noexcept;
  void run_jobs() noexcept;

  using Jobs = boost::intrusive::list<Job, boost::intrusive::constant_time_size<false>>;
  Jobs jobs_;
};

inline constexpr int ticks_per_second = 4;

// Calls on_tick so many times a second. Time in the driver is counted in ticks of ticks_per_second,
// so that a step of the wall clock changes nothing and a simulation owns the clock.
class Ticker {
 public:
  // Throws std::system_error.
  Ticker(FdWatch::Handler on_tick, void* owner, int per_second = ticks_per_second);
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  static void on_timer(void* self) noexcept;

  FdWatch::Handler on_tick_;
  void* owner_;
  UniqueFd fd_;
  FdWatch watch_;  // ends before its descriptor is closed
};

// Makes fd non-blocking and close-on-exec. Throws std::system_error.
void set_nonblocking(int fd);

}  // namespace srp
