// What happens to the driver from outside: initiators, administrators, hardware; see simulation.h.
#include <algorithm>

#include "tests/sim/simulation.h"

namespace srp::sim {

using fake::Fault;
using fake::InitiatorChannel;
using State = InitiatorChannel::State;
using Action = wire::MultiChannelAction;

namespace {

// Half of all seeds do not know a fault, some know it as rare, some as common.
void draw_faults(fake::World& world) {
  for (unsigned i = 0; i < static_cast<unsigned>(Fault::count); ++i) {
    const std::size_t roll = world.random.below(10);
    const double probability = roll < 6 ? 0 : roll < 9 ? 0.003 : 0.05;
    world.faults.set(static_cast<Fault>(i), probability);
  }
}

unsigned draw_habit(fake::Random& random, unsigned rare, unsigned common) {
  const std::size_t roll = random.below(10);
  return roll < 5 ? 0 : roll < 8 ? rare : common;
}

Habits draw_habits(fake::Random& random) {
  Habits habits;
  habits.command = static_cast<unsigned>(random.between(5, 40));
  habits.login = static_cast<unsigned>(random.between(1, 8));
  habits.tick = random.chance(0.7) ? 1 : 4;
  habits.task = draw_habit(random, 1, 6);
  habits.nonsense = draw_habit(random, 1, 6);
  habits.leave = draw_habit(random, 1, 3);
  habits.overdraw = draw_habit(random, 1, 1);
  habits.bad_login = draw_habit(random, 1, 3);
  habits.stall = draw_habit(random, 1, 3);
  habits.admin = draw_habit(random, 1, 2);
  habits.removal = random.chance(0.2) ? 1 : 0;
  habits.restart = random.chance(0.2) ? 1 : 0;
  habits.wild = draw_habit(random, 1, 6);
  habits.request = draw_habit(random, 1, 2);
  return habits;
}

Setup draw_setup(fake::Random& random) {
  Setup setup;
  setup.sites = static_cast<unsigned>(random.between(1, 3));
  setup.initiators = static_cast<unsigned>(random.between(1, 3));
  setup.hcas = static_cast<unsigned>(random.between(1, 2));
  const std::uint32_t credits[] = {2, 3, 8, 16};
  setup.credits = credits[random.below(4)];
  const std::uint32_t requests[] = {276, 580, 2116, 8276};
  setup.request_bytes = requests[random.below(4)];
  const std::uint32_t responses[] = {54, 96, 320};
  setup.response_bytes = responses[random.below(3)];
  const std::uint32_t queues[] = {16, 32, 1024};
  setup.send_queue = queues[random.below(3)];
  setup.channels_max = static_cast<std::uint32_t>(random.between(1, 6));
  const std::uint64_t blocks[] = {16, 64, 256};
  setup.unit_blocks = blocks[random.below(3)];
  setup.luns = static_cast<unsigned>(random.between(2, 4));
  setup.null_unit = random.chance(0.3);
  setup.immediate_data = random.chance(0.8);
  const std::uint32_t messages[] = {4096, 16384, 1U << 20};
  setup.rdma_bytes = messages[random.below(3)];
  if (random.chance(0.25)) setup.srq_size = static_cast<std::uint32_t>(random.between(20, 64));
  setup.t_logout = random.chance(0.2);
  return setup;
}

void draw_limits(fake::Random& random, fake::Hca& hca) {
  const int queues[] = {32, 128, 16384};
  hca.limits.max_qp_wr = queues[random.below(3)];
  const std::uint32_t messages[] = {4096, 1U << 20, 1U << 31};
  hca.message_bytes_max = messages[random.below(3)];
  const std::uint32_t inlines[] = {0, 64, 256};
  hca.inline_bytes_max = inlines[random.below(3)];
  const int depths[] = {1, 4, 16};
  hca.limits.max_qp_init_rd_atom = depths[random.below(3)];
}

}  // namespace

namespace {

void live(fake::Random random) {
  const Setup setup = draw_setup(random);
  Simulation simulation(random, setup);
  fake::Random& chance = simulation.world.random;
  for (auto& hca : simulation.world.fabric->hcas) draw_limits(chance, *hca);
  const Habits habits = draw_habits(chance);
  const unsigned script_steps_max = 100'000;
  const auto steps =
      chance.scripted() ? script_steps_max : static_cast<unsigned>(chance.between(200, 1500));
  simulation.chaos(habits, steps);
  simulation.settle();
  simulation.finish();
}

}  // namespace

void run_seed(std::uint64_t seed) { live(fake::Random(seed)); }
void run_script(std::span<const std::uint8_t> script) { live(fake::Random(script)); }

void Simulation::chaos(const Habits& habits, unsigned steps) {
  habits_ = habits;
  draw_faults(world);
  for (unsigned i = 0; i < steps && !world.random.exhausted(); ++i) {
    ++world.step;
    choices_.clear();
    world.fabric->add_choices(choices_);
    world.cm->add_choices(choices_);
    world.tgtd->add_choices(choices_);
    add_habits(choices_);
    choices_.run_one(world.random);
    if (i % 64 == 0) {
      for (auto& initiator : initiators) initiator->clean_up();
    }
  }
}

void Simulation::add_habits(fake::Choices& choices) {
  choices.add<&Simulation::do_command>(habits_.command, *this);
  choices.add<&Simulation::do_login>(habits_.login, *this);
  choices.add<&Simulation::do_tick>(habits_.tick, *this);
  choices.add<&Simulation::do_task>(habits_.task, *this);
  choices.add<&Simulation::do_nonsense>(habits_.nonsense, *this);
  choices.add<&Simulation::do_leave>(habits_.leave, *this);
  choices.add<&Simulation::do_overdraw>(habits_.overdraw, *this);
  choices.add<&Simulation::do_bad_login>(habits_.bad_login, *this);
  choices.add<&Simulation::do_stall>(habits_.stall, *this);
  choices.add<&Simulation::do_admin>(habits_.admin, *this);
  choices.add<&Simulation::do_removal>(habits_.removal, *this);
  choices.add<&Simulation::do_restart>(habits_.restart, *this);
  choices.add<&Simulation::do_wild>(habits_.wild, *this);
  choices.add<&Simulation::do_request>(habits_.request, *this);
}

InitiatorChannel* Simulation::any_channel() {
  std::vector<InitiatorChannel*> up;
  for (auto& initiator : initiators) {
    for (auto& channel : initiator->channels) {
      if (channel->state == State::up) up.push_back(channel.get());
    }
  }
  return up.empty() ? nullptr : world.random.pick(up);
}

void Simulation::do_command() {
  InitiatorChannel* channel = any_channel();
  // Linux keeps a credit for a task; not everybody does.
  if (channel && (channel->credits > 1 || world.random.chance(0.2))) channel->send_command();
}

bool Simulation::login_pending(const fake::Initiator& initiator, const fake::Site& site) const {
  return std::ranges::any_of(initiator.channels, [&](const auto& channel) {
    return &channel->site == &site && channel->state == State::requesting &&
           !channel->must_be_refused;
  });
}

// One login at a time, as Linux does it; the first SINGLE, then MULTI, and SINGLE again at will.
void Simulation::do_login() {
  fake::Initiator& initiator = *world.random.pick(initiators);
  fake::Site& site = *world.random.pick(host.sites);
  if (login_pending(initiator, site)) return;
  unsigned up = 0;
  for (const auto& channel : initiator.channels) {
    up += &channel->site == &site && channel->state == State::up;
  }
  if (up >= 3 && world.random.chance(0.8)) return;
  const bool multi = up != 0 ? world.random.chance(0.7) : world.random.chance(0.1);
  initiator.add_channel(site).login(multi ? Action::multi : Action::single);
}

// Now and then so much time that what waits for an answer is given up.
void Simulation::do_tick() {
  const std::size_t seconds_at_once = world.random.chance(0.1) ? world.random.between(1, 8) : 0;
  for (std::size_t i = 4 * seconds_at_once; i > 0; --i) world.tgtd->tick();
  world.tgtd->tick();
}

void Simulation::do_task() {
  if (InitiatorChannel* channel = any_channel()) channel->send_task();
}

void Simulation::do_nonsense() {
  if (InitiatorChannel* channel = any_channel()) channel->send_nonsense();
}

void Simulation::do_leave() {
  InitiatorChannel* channel = any_channel();
  if (world.random.chance(0.2)) {  // before it is established, too
    fake::Initiator& initiator = *world.random.pick(initiators);
    if (!initiator.channels.empty()) channel = world.random.pick(initiator.channels).get();
  }
  if (channel == nullptr || channel->state == State::down) return;
  switch (world.random.below(3)) {
    case 0: return channel->disconnect();
    case 1: return channel->vanish();
    default: return channel->logout();
  }
}

void Simulation::do_overdraw() {
  if (InitiatorChannel* channel = any_channel()) channel->overdraw();
}

void Simulation::do_bad_login() {
  fake::Initiator& initiator = *world.random.pick(initiators);
  initiator.add_channel(*world.random.pick(host.sites)).login_with_nonsense();
}

void Simulation::do_stall() {
  if (world.tgtd->targets.empty()) return;
  fake::Target& victim = *world.random.pick(world.tgtd->targets);
  if (victim.lus.empty()) return;
  fake::Lu& unit = *world.random.pick(victim.lus);
  unit.stalled = !unit.stalled;
  fake::trace("LUN %llu of target %d %s", static_cast<unsigned long long>(unit.lun), victim.tid,
              unit.stalled ? "stalls" : "goes on");
}

void Simulation::do_admin() {
  fake::Site& site = *world.random.pick(host.sites);
  fake::Target* victim = world.tgtd->find_target(site.tid);
  site.disturbed = true;
  world.tgtd->ledger.orderly = false;
  if (victim == nullptr) return make_target(site);
  switch (world.random.below(8)) {
    case 0:
      if (site.luns.size() > 1) (void)world.tgtd->delete_lu(*victim, site.luns.rbegin()->first);
      return;
    case 1:
      if (victim->find_lu(site.luns.rbegin()->first) == nullptr) {
        const std::uint64_t lun = site.luns.rbegin()->first;
        world.tgtd->create_lu(*victim, lun, setup_.unit_blocks, site.null_luns.contains(lun));
      }
      return;
    case 2: (void)world.tgtd->delete_target(*victim, true, world.random.chance(0.5)); return;
    case 3: return world.tgtd->set_target_state(*victim, tgt::SCSI_TARGET_OFFLINE);
    case 4: return world.tgtd->set_target_state(*victim, tgt::SCSI_TARGET_READY);
    case 5: return world.tgtd->set_system_available(!world.tgtd->system_available());
    case 6: return world.tgtd->delete_connections(*victim);
    default:
      (void)world.tgtd->show(tgt::MODE_TARGET, site.tid);
      (void)world.tgtd->show(tgt::MODE_CONNECTION, site.tid);
      (void)world.tgtd->show(tgt::MODE_PORTAL, -1);
      (void)world.tgtd->show(tgt::MODE_SYSTEM, -1);
  }
}

void Simulation::do_removal() {
  if (!world.random.chance(0.2)) return;
  fake::Hca*& hca = world.random.pick(host.hcas);
  if (hca->present) return world.fabric->remove(*hca);
  hca = &world.fabric->add_hca();
}

// tgtadm --mode lld --op stop, which needs all targets gone, and --op start.
void Simulation::do_restart() {
  if (!world.random.chance(0.1)) return;
  for (auto& site : host.sites) {
    site->disturbed = true;
    world.tgtd->ledger.orderly = false;
    fake::Target* victim = world.tgtd->find_target(site->tid);
    if (victim != nullptr && !world.tgtd->delete_target(*victim, true, world.random.chance(0.5)))
      return;
  }
  fake::trace("the driver is stopped");
  if (!world.tgtd->stop_driver()) fake::fail("the driver has targets that tgtd has not");
  world.fabric->expect_nothing_left();
  world.cm->expect_nothing_left();
  world.faults.set(Fault::watch, 0);  // what fails while it starts is not tried again
  world.tgtd->start_driver();
  for (auto& site : host.sites) make_target(*site);
}

void Simulation::do_wild() {
  if (world.random.chance(0.2)) {
    fake::Initiator& initiator = *world.random.pick(initiators);
    return initiator.add_channel(*world.random.pick(host.sites)).login_wild();
  }
  if (InitiatorChannel* channel = any_channel()) channel->send_wild();
}

void Simulation::do_request() { world.tgtd->request_anything(); }

}  // namespace srp::sim
