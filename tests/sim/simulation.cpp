// How a world is made and moved on; see simulation.h.
#include "tests/sim/simulation.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace srp::sim {

using fake::fail;
using fake::InitiatorChannel;
using State = InitiatorChannel::State;

namespace {

constexpr std::uint64_t ioc_guid = 0x0002c90300a1b2c3;

// Identifier of the n-th target, as write_config() gives it.
wire::PortId port_id_of(unsigned number) {
  wire::PortId id{};
  id[7] = static_cast<std::uint8_t>(number + 1);
  for (unsigned i = 0; i < 8; ++i) id[8 + i] = static_cast<std::uint8_t>(ioc_guid >> (56 - 8 * i));
  return id;
}

std::string name_of(unsigned number) {
  return "iqn.2024-01.org.example:disk" + std::to_string(number);
}

}  // namespace

Simulation::Simulation(const fake::Random& random, const Setup& setup)
    : world(random), setup_(setup) {
  write_config(setup);
  host.iu_bytes_max = setup.request_bytes;
  host.immediate = setup.immediate_data;
  host.t_logout = setup.t_logout;
  host.largest_command = static_cast<std::uint32_t>(setup.unit_blocks);
  for (unsigned i = 0; i < setup.hcas; ++i) host.hcas.push_back(&world.fabric->add_hca());
  if (world.random.chance(0.5)) world.tgtd->let_first_driver_answer();
  world.tgtd->load_driver();
  for (unsigned i = 0; i < setup.sites; ++i) {
    auto site = std::make_unique<fake::Site>();
    site->tid = static_cast<int>(i + 1);
    site->name = name_of(i);
    site->port_id = port_id_of(i);
    make_target(*site);
    host.sites.push_back(std::move(site));
  }
  for (unsigned i = 0; i < setup.initiators; ++i) {
    initiators.push_back(std::make_unique<fake::Initiator>(i, host));
  }
}

Simulation::~Simulation() {
  initiators.clear();
  unlink(config_path_.c_str());
}

void Simulation::write_config(const Setup& setup) {
  const char* directory = std::getenv("TMPDIR");
  config_path_ = std::string(directory ? directory : "/tmp") + "/tgt-srp-sim-" +
                 std::to_string(getpid()) + ".conf";
  std::ofstream file(config_path_);
  if (setup.srq_size != 0) file << "use_srq = true;\nsrpt_srq_size = " << setup.srq_size << ";\n";
  file << "credits = " << setup.credits << ";\nsrp_max_req_size = " << setup.request_bytes
       << ";\nsrp_max_rsp_size = " << setup.response_bytes
       << ";\nsrpt_sq_size = " << setup.send_queue << ";\nchannels_max = " << setup.channels_max
       << ";\nsrp_max_rdma_size = " << setup.rdma_bytes
       << ";\nimmediate_data = " << (setup.immediate_data ? "true" : "false")
       << ";\nt_logout = " << (setup.t_logout ? "true" : "false")
       << ";\ncommand_mib_max = 1;\nbuffer_mib = 16;\n"
       << "portals = [ \"10.0.0.1\", \"ib\" ];\nsrpt_service_guid = \"0002c90300a1b2c3\";\ntargets "
          "= (";
  for (unsigned i = 0; i < setup.sites; ++i) {
    char id_ext[17];
    std::snprintf(id_ext, sizeof id_ext, "%016x", i + 1);
    file << (i ? "," : "") << "\n  { name = \"" << name_of(i) << "\"; id_ext = \"" << id_ext
         << "\"; }";
  }
  file << "\n);\n";
  file.close();
  setenv("TGT_SRP_CONF", config_path_.c_str(), 1);
}

void Simulation::make_target(fake::Site& site) {
  fake::Target& target = world.tgtd->create_target(site.tid, site.name);
  target.addresses.push_back("ALL");
  site.luns = {{0, 0}};
  for (unsigned lun = 1; lun < setup_.luns; ++lun) {
    const bool null_store = setup_.null_unit && lun + 1 == setup_.luns && lun != 1;
    world.tgtd->create_lu(target, lun, setup_.unit_blocks, null_store);
    if (null_store) site.null_luns.insert(lun);
    site.luns[lun] = setup_.unit_blocks;
  }
  world.tgtd->create_lu(target, fake::wild_lun, 16, false);
}

fake::Target& Simulation::target(unsigned site) {
  fake::Target* found = world.tgtd->find_target(host.sites[site]->tid);
  if (found == nullptr) fail("the scenario's target is gone");
  return *found;
}

fake::Lu& Simulation::lu(std::uint64_t lun, unsigned site) {
  fake::Lu* found = target(site).find_lu(lun);
  if (found == nullptr) fail("the scenario's unit is gone");
  return *found;
}

fake::Unit Simulation::unit(std::uint64_t lun, unsigned site) {
  return {host.sites[site]->tid, lun};
}

// ---- time ----

bool Simulation::step_world() {
  ++world.step;
  choices_.clear();
  world.fabric->add_choices(choices_);
  world.cm->add_choices(choices_);
  world.tgtd->add_choices(choices_);
  if (choices_.empty()) return false;
  choices_.run_one(world.random);
  return true;
}

void Simulation::run() {
  for (unsigned i = 0; i < 2'000'000; ++i) {
    if (!step_world()) return;
  }
  fail("the world does not come to rest");
}

void Simulation::tick() {
  ++world.step;
  world.tgtd->tick();
}

void Simulation::ticks(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    run();
    tick();
  }
  run();
}

// ---- scenarios' helpers ----

InitiatorChannel& Simulation::log_in(unsigned initiator, unsigned site,
                                     wire::MultiChannelAction action) {
  InitiatorChannel& channel = initiators[initiator]->add_channel(*host.sites[site]);
  channel.login(action);
  run_until("a login", [&] { return channel.state != State::requesting; });
  if (channel.state != State::up) fail("a login is not accepted");
  return channel;
}

void Simulation::clear_attentions(InitiatorChannel& channel) {
  for (const auto& [lun, blocks] : channel.site.luns) {
    if (blocks == 0) continue;
    channel.read_or_write(fake::CommandKind::read, {channel.site.tid, lun}, 0, 1);
    run_until("the answer to a command", [&] { return channel.idle(); });
  }
}

// ---- settling ----

void Simulation::end_faults() {
  world.faults.clear();
  world.tgtd->set_system_available(true);
  world.tgtd->open_portal();
  for (auto& target : world.tgtd->targets) {
    world.tgtd->set_target_state(*target, tgt::SCSI_TARGET_READY);
    for (auto& lu : target->lus) lu->stalled = false;
  }
  for (auto& site : host.sites) {
    fake::Target* target = world.tgtd->find_target(site->tid);
    if (target == nullptr) {
      make_target(*site);
      continue;
    }
    for (const auto& [lun, blocks] : site->luns) {
      if (target->find_lu(lun) == nullptr)
        world.tgtd->create_lu(*target, lun, blocks, site->null_luns.contains(lun));
    }
  }
  for (auto*& hca : host.hcas) {
    if (!hca->present) hca = &world.fabric->add_hca();
  }
}

void Simulation::settle() {
  fake::trace("---- settling ----");
  end_faults();
  ticks(160);
  check_answered();
  check_credits();
  check_logins();
  check_receives();
}

// Receives that are shared are all posted when nobody works. Of a queue that no channel has come to
// use nobody cares.
void Simulation::check_receives() {
  ticks(8);
  for (const auto& srq : world.fabric->srqs) {
    if (srq->qps == 0 || srq->receives.size() == srq->size) continue;
    fail("of %u receives %zu are posted at rest", srq->size, srq->receives.size());
  }
}

void Simulation::check_answered() {
  for (auto& initiator : initiators) {
    for (auto& channel : initiator->channels) {
      if (channel->state == State::requesting) {
        fail("initiator %u channel %u: no answer to its login", initiator->number, channel->number);
      }
      if (channel->state != State::up) continue;
      if (channel->doomed) {
        fail("initiator %u channel %u: was not closed", initiator->number, channel->number);
      }
      for (const auto& [tag, command] : channel->commands) {
        if (command.optional) continue;
        fail("initiator %u channel %u: no answer to tag %llx, command %02x", initiator->number,
             channel->number, static_cast<unsigned long long>(tag), command.cdb[0]);
      }
      if (!channel->tasks.empty()) {
        fail("initiator %u channel %u: no answer to a task", initiator->number, channel->number);
      }
    }
  }
  if (world.tgtd->held() != 0) fail("at rest tgtd holds %zu commands", world.tgtd->held());
}

// A credit may wait for the next response; after that response all are back.
void Simulation::check_credits() {
  for (auto& initiator : initiators) {
    for (auto& channel : initiator->channels) {
      if (channel->state != State::up) continue;
      if (channel->credits < 1) {
        fail("initiator %u channel %u: out of credits at rest", initiator->number, channel->number);
      }
      channel->test_unit_ready();
      run_until("the answer to TEST UNIT READY",
                [&] { return channel->credits >= channel->limit; });
    }
  }
}

void Simulation::check_logins() {
  for (auto& initiator : initiators) {
    for (auto& site : host.sites) {
      InitiatorChannel& channel = initiator->add_channel(*site);
      channel.login(wire::MultiChannelAction::single);
      run_until("a login after all faults", [&] { return channel.state != State::requesting; });
      if (channel.state != State::up)
        fail("initiator %u: a login after all faults is refused", initiator->number);
      prove(channel);
    }
    initiator->clean_up();
  }
}

// The channel works: what is written is read. Attentions may have piled up before that.
void Simulation::prove(InitiatorChannel& channel) {
  for (const auto& [lun, blocks] : channel.site.luns) {
    if (blocks == 0) continue;
    for (const auto kind : {fake::CommandKind::write, fake::CommandKind::read}) {
      int attempts = 100;
      do {
        channel.read_or_write(kind, {channel.site.tid, lun}, 0, 1);
        run_until("the end of a command", [&] { return channel.idle(); });
      } while (channel.last_status != 0 && --attempts > 0);
      if (attempts == 0) fail("after all faults no command works");
    }
  }
}

// tgtd ends: its targets are deleted, then the driver leaves.
void Simulation::finish() {
  fake::trace("---- finishing ----");
  for (auto& initiator : initiators) {
    for (auto& channel : initiator->channels) {
      if (channel->state == State::up && world.random.chance(0.5)) channel->disconnect();
    }
  }
  for (std::size_t i = world.random.below(200); i > 0; --i) step_world();
  while (!world.tgtd->targets.empty()) {
    if (!world.tgtd->delete_target(*world.tgtd->targets.back(), true, world.random.chance(0.5))) {
      fail("at rest a target is active");
    }
  }
  world.tgtd->unload_driver();
  world.fabric->expect_nothing_left();
  world.cm->expect_nothing_left();
  world.tgtd->expect_at_rest();
}

}  // namespace srp::sim
