// A world with a driver in it, from tgtd's start to its end, one event at a time.
//
// chaos() lets anything happen that the seed allows. settle() then takes all faults away and waits;
// what is open must end, what was promised must be kept, new logins must work. finish() ends the
// driver and looks for what it left behind.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/fake/choices.h"
#include "tests/fake/fabric.h"
#include "tests/fake/initiator.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::sim {

// What the driver is configured with and what it runs on.
struct Setup {
  unsigned sites = 1;
  unsigned initiators = 1;
  unsigned hcas = 1;
  std::uint32_t credits = 8;
  std::uint32_t request_bytes = 2116;
  std::uint32_t response_bytes = 320;
  std::uint32_t send_queue = 64;
  std::uint32_t channels_max = 8;
  std::uint64_t unit_blocks = 64;
  unsigned luns = 2;
  bool immediate_data = true;
  std::uint32_t rdma_bytes = 1U << 20;  // of one RDMA message
  std::uint32_t srq_size = 0;           // 0: each channel has its own receives
  bool t_logout = false;
  bool null_unit = false;  // the last of three or more LUNs has a store that moves nothing
};

// How often the simulation does what it may do, 0: never.
struct Habits {
  unsigned command = 20;
  unsigned login = 4;
  unsigned tick = 1;
  unsigned task = 0;
  unsigned nonsense = 0;
  unsigned leave = 0;  // disconnect, log out, vanish
  unsigned overdraw = 0;
  unsigned wild = 0;  // IUs and logins that chance has written
  unsigned bad_login = 0;
  unsigned stall = 0;
  unsigned admin = 0;    // units and targets come and go, offline, connections deleted
  unsigned removal = 0;  // devices come and go
  unsigned restart = 0;  // the driver is stopped and started
  unsigned request = 0;  // of tgtadm, of any kind
};

class Simulation {
 public:
  Simulation(const fake::Random& random, const Setup& setup);
  ~Simulation();

  // ---- single steps, for scenarios ----
  // Lets the world go on, with nothing new from outside, until it has nothing to do.
  void run();
  // The same, until done() holds; fails if it never does.
  template <class Done>
  void run_until(const char* what, Done&& done) {
    for (int i = 0; i < 20000 && !done(); ++i) {
      if (!step_world()) tick();
    }
    if (!done()) fake::fail("this never happens: %s", what);
  }
  // One event; false if there is none.
  bool step_world();
  void tick();
  void ticks(unsigned count);
  // Logs in and waits until the channel is up.
  fake::InitiatorChannel& log_in(
      unsigned initiator = 0, unsigned site = 0,
      wire::MultiChannelAction action = wire::MultiChannelAction::single);
  // Consumes the unit attentions of a new session.
  void clear_attentions(fake::InitiatorChannel& channel);
  fake::Target& target(unsigned site = 0);
  fake::Lu& lu(std::uint64_t lun = 1, unsigned site = 0);
  fake::Unit unit(std::uint64_t lun = 1, unsigned site = 0);

  // ---- a whole life ----
  void chaos(const Habits& habits, unsigned steps);
  void settle();
  void finish();

  fake::World world;
  fake::Host host;
  std::vector<std::unique_ptr<fake::Initiator>> initiators;

 private:
  void write_config(const Setup& setup);
  void make_target(fake::Site& site);
  void add_habits(fake::Choices& choices);
  fake::InitiatorChannel* any_channel();
  bool login_pending(const fake::Initiator& initiator, const fake::Site& site) const;

  // Habits.
  void do_command();
  void do_login();
  void do_tick();
  void do_task();
  void do_nonsense();
  void do_leave();
  void do_overdraw();
  void do_bad_login();
  void do_stall();
  void do_admin();
  void do_removal();
  void do_restart();
  void do_wild();
  void do_request();

  // Settling.
  void end_faults();
  void check_answered();
  void check_credits();
  void check_logins();
  void check_receives();
  void prove(fake::InitiatorChannel& channel);

  Setup setup_;
  Habits habits_;
  std::string config_path_;
  fake::Choices choices_;
};

// The world of a seed, all of its life.
void run_seed(std::uint64_t seed);
// The same with a script's decisions, for as long as it lasts.
void run_script(std::span<const std::uint8_t> script);

}  // namespace srp::sim
