// The stories about machines and administrators: calls that fail, devices that go, targets that are
// deleted; see scenarios.h.
#include "tests/sim/scenarios.h"
#include "tests/sim/simulation.h"

namespace srp::sim {

namespace {

using fake::CommandKind;
using fake::fail;
using fake::Fault;
using fake::InitiatorChannel;
using State = InitiatorChannel::State;

void end(Simulation& s) {
  s.settle();
  s.finish();
}

// A channel with commands everywhere: waiting, fetching, in the store, responding.
InitiatorChannel& busy_channel(Simulation& s) {
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  while (channel.can_send()) channel.send_command();
  for (std::size_t n = s.world.random.below(120); n > 0; --n) s.step_world();
  return channel;
}

void with_fault(std::uint64_t seed, Fault fault, double probability) {
  Simulation s(seed, {.initiators = 2});
  busy_channel(s);
  s.world.faults.set(fault, probability);
  for (int i = 0; i < 6; ++i) {
    for (auto& initiator : s.initiators) {
      initiator->clean_up();
      initiator->add_channel(*s.host.sites[0]).login(wire::MultiChannelAction::single);
      s.ticks(2);
      for (auto& channel : initiator->channels) {
        while (channel->can_send()) channel->send_command();
      }
    }
    s.ticks(2);
  }
  end(s);
}

void post_send_fails(std::uint64_t seed) { with_fault(seed, Fault::post_send, 0.05); }
void post_recv_fails(std::uint64_t seed) { with_fault(seed, Fault::post_recv, 0.03); }
void objects_cannot_be_made(std::uint64_t seed) { with_fault(seed, Fault::create, 0.2); }
void transitions_fail(std::uint64_t seed) { with_fault(seed, Fault::modify_qp, 0.3); }
void memory_cannot_be_registered(std::uint64_t seed) { with_fault(seed, Fault::reg_mr, 0.5); }
void accept_fails(std::uint64_t seed) { with_fault(seed, Fault::accept, 0.5); }
void completions_fail(std::uint64_t seed) { with_fault(seed, Fault::completion, 0.05); }
void receives_fail(std::uint64_t seed) { with_fault(seed, Fault::receive, 0.05); }
void confirmations_are_lost(std::uint64_t seed) { with_fault(seed, Fault::rtu_lost, 0.6); }
void stores_fail(std::uint64_t seed) { with_fault(seed, Fault::store_error, 0.3); }
void nothing_can_be_watched(std::uint64_t seed) { with_fault(seed, Fault::watch, 0.5); }

void disconnect_at_any_time(std::uint64_t seed) {
  Simulation s(seed, {});
  for (int i = 0; i < 8; ++i) {
    InitiatorChannel& channel = s.initiators[0]->add_channel(*s.host.sites[0]);
    channel.login(wire::MultiChannelAction::single);
    for (std::size_t n = s.world.random.below(60); n > 0; --n) {
      if (channel.can_send()) channel.send_command();
      s.step_world();
    }
    if (channel.state == State::down) continue;
    if (s.world.random.chance(0.5)) {
      channel.disconnect();
    } else {
      channel.vanish();
    }
  }
  end(s);
}

void device_goes_and_comes(std::uint64_t seed) {
  Simulation s(seed, {});
  busy_channel(s);
  s.world.fabric->remove(*s.host.hcas[0]);
  s.ticks(8);
  if (s.initiators[0]->channels[0]->state == State::up) fail("the channel outlives its device");
  if (!s.world.fabric->qps.empty() || !s.world.fabric->contexts.empty()) {
    fail("the device is gone and still in use");
  }
  s.host.hcas[0] = &s.world.fabric->add_hca();
  s.log_in();
  end(s);
}

// The store works on commands of a device that is gone: its memory stays until they are over.
void device_goes_under_a_stalled_store(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.lu().stalled = true;
  channel.read_or_write(CommandKind::read, s.unit(), 0, 8);
  s.run_until("a command in the store", [&] { return s.world.tgtd->held() != 0; });
  s.world.fabric->remove(*s.host.hcas[0]);
  s.ticks(8);
  s.lu().stalled = false;
  s.ticks(8);
  if (!s.world.fabric->contexts.empty()) fail("the device is gone and still in use");
  end(s);
}

void delete_target(std::uint64_t seed, bool through_driver) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  channel.read_or_write(CommandKind::write, s.unit(), 0, 8);
  for (std::size_t n = s.world.random.below(30); n > 0; --n) s.step_world();
  s.host.sites[0]->disturbed = true;
  while (!s.world.tgtd->delete_target(s.target(), true, through_driver)) s.step_world();
  s.ticks(8);
  if (channel.state == State::up) fail("the channel outlives its target");
  end(s);
}
void target_is_deleted(std::uint64_t seed) { delete_target(seed, true); }
void target_is_deleted_behind_us(std::uint64_t seed) { delete_target(seed, false); }

// A unit that has commands cannot be deleted; one that has none can.
void unit_is_deleted(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.lu().stalled = true;
  channel.read_or_write(CommandKind::write, s.unit(), 0, 8);
  s.run_until("a command in the store", [&] { return s.world.tgtd->held() != 0; });
  if (s.world.tgtd->delete_lu(s.target(), 1)) fail("tgtd deletes an active unit");
  s.lu().stalled = false;
  s.run();
  s.host.sites[0]->disturbed = true;
  if (!s.world.tgtd->delete_lu(s.target(), 1)) fail("the unit is still active");
  channel.read_or_write(CommandKind::read, s.unit(), 0, 8);
  s.run();
  if (channel.state != State::up || !channel.idle())
    fail("a command for a missing unit is not answered");
  end(s);
}

void offline_target_is_busy(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = s.log_in();
  s.clear_attentions(channel);
  s.host.sites[0]->disturbed = true;
  s.world.tgtd->set_target_state(s.target(), tgt::SCSI_TARGET_OFFLINE);
  channel.read_or_write(CommandKind::write, s.unit(), 0, 8);
  s.run();
  if (channel.last_status != 0x08) fail("status %02x of an offline target", channel.last_status);
  end(s);
}

// `service tgt stop`: system offline, targets offline, then targets without nexus can be deleted.
void stopping_the_service(std::uint64_t seed) {
  Simulation s(seed, {});
  busy_channel(s);
  s.host.sites[0]->disturbed = true;
  s.world.tgtd->set_system_available(false);
  s.world.tgtd->set_target_state(s.target(), tgt::SCSI_TARGET_OFFLINE);
  s.ticks(8);
  if (!s.world.tgtd->delete_target(s.target(), false, false)) fail("the target has nexuses");
  if (!s.world.tgtd->stop_driver()) fail("the driver cannot be stopped");
  s.world.fabric->expect_nothing_left();
  s.world.cm->expect_nothing_left();
  s.world.tgtd->start_driver();
  end(s);
}

void administrator_deletes_connection(std::uint64_t seed) {
  Simulation s(seed, {});
  InitiatorChannel& channel = busy_channel(s);
  s.world.tgtd->delete_connections(s.target());
  s.ticks(4);
  if (channel.state == State::up) fail("the connection goes on");
  if (!s.target().nexuses.empty()) fail("the nexus stays");
  end(s);
}

}  // namespace

void add_fault_scenarios(std::vector<Scenario>& all) {
  all.insert(all.end(),
             {
                 {"post_send_fails", post_send_fails},
                 {"post_recv_fails", post_recv_fails},
                 {"objects_cannot_be_made", objects_cannot_be_made},
                 {"transitions_fail", transitions_fail},
                 {"memory_cannot_be_registered", memory_cannot_be_registered},
                 {"accept_fails", accept_fails},
                 {"completions_fail", completions_fail},
                 {"receives_fail", receives_fail},
                 {"confirmations_are_lost", confirmations_are_lost},
                 {"stores_fail", stores_fail},
                 {"nothing_can_be_watched", nothing_can_be_watched},
                 {"disconnect_at_any_time", disconnect_at_any_time},
                 {"device_goes_and_comes", device_goes_and_comes},
                 {"device_goes_under_a_stalled_store", device_goes_under_a_stalled_store},
                 {"target_is_deleted", target_is_deleted},
                 {"target_is_deleted_behind_us", target_is_deleted_behind_us},
                 {"unit_is_deleted", unit_is_deleted},
                 {"offline_target_is_busy", offline_target_is_busy},
                 {"stopping_the_service", stopping_the_service},
                 {"administrator_deletes_connection", administrator_deletes_connection},
             });
}

}  // namespace srp::sim
