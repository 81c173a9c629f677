// How a rig is made, moved on and taken down; see rig.h.
#include "tests/unit/rig.h"

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "lld_srp/limits.h"
#include "plugin_api/target_view.h"
#include "tests/unit/harness.h"

namespace srp::test {

namespace {

constexpr int rounds_max = 10000;

Rig* rig;  // the one that lives
int (*driver_cmd_end)(std::uint64_t, int, tgt::scsi_cmd*);

std::string config_text(const RigOptions& options) {
  return "credits = " + std::to_string(options.credits) +
         ";\nsrpt_sq_size = " + std::to_string(options.send_queue) +
         ";\nportals = " + options.portals +
         ";\nsrp_max_req_size = 1024;\nsrp_max_rsp_size = 320;\ncommand_mib_max = 1;\n"
         "buffer_mib = 16;\nsrpt_service_guid = \"0002c90300a1b2c3\";\n" +
         options.more + "\n";
}

// The module's callbacks for a Driver that is not the module's.
void take_over(tgt::tgt_driver& table) {
  table.target_create = [](tgt::target* target) {
    if (rig != nullptr) rig->driver->ports().add(*target);
    return 0;
  };
  table.target_destroy = [](int tid, int) {
    if (rig != nullptr) rig->driver->remove_target(tid);
  };
  table.mgmt_end_notify = [](tgt::mgmt_req* request) {
    if (rig != nullptr) rig->driver->ports().on_managed(request->mid, request->result);
    return 0;
  };
  table.lu_create = nullptr;
  driver_cmd_end = table.cmd_end_notify;
  table.cmd_end_notify = [](std::uint64_t nexus, int status, tgt::scsi_cmd* cmd) {
    if (rig != nullptr && rig->before_end) status = rig->before_end(*cmd, status);
    return driver_cmd_end(nexus, status, cmd);
  };
}

// One choice of `object` after the other, until it has none.
template <class Object>
bool run_choices(Object& object) {
  fake::Choices choices;
  bool any = false;
  for (int i = 0; i < rounds_max; ++i) {
    choices.clear();
    object.add_choices(choices);
    if (choices.empty()) return any;
    choices.run_one(fake::the_world().random);
    any = true;
  }
  FAIL("the world does not come to rest");
  return any;
}

}  // namespace

// ---- configuration ----

ConfigFile::ConfigFile(const std::string& text) {
  const char* folder = std::getenv("TMPDIR");
  path_ = std::string(folder != nullptr ? folder : "/tmp") + "/srp-unit-XXXXXX";
  const int file = mkstemp(path_.data());
  CHECK(file >= 0);
  close(file);
  std::ofstream{path_} << text;
  setenv("TGT_SRP_CONF", path_.c_str(), 1);
}

ConfigFile::~ConfigFile() {
  unsetenv("TGT_SRP_CONF");
  unlink(path_.c_str());
}

// ---- without a driver ----

BareRig::BareRig(const std::string& text) : config(text) {
  world.tgtd->load_driver();
  table().exit();  // the module's own
  take_over(table());
}

BareRig::~BareRig() {
  world.tgtd->turn();  // takes the driver's one event off the list, which ends with this world
  world.fabric->expect_nothing_left();
  world.cm->expect_nothing_left();
  world.tgtd->expect_at_rest();
}

void BareRig::run_loop() {
  std::vector<fake::Lu*> running;
  for (auto& target : world.tgtd->targets) {
    for (auto& lu : target->lus) {
      if (!std::exchange(lu->stalled, true)) running.push_back(lu.get());
    }
  }
  for (int i = 0; world.tgtd->busy(); ++i) {
    if (i == rounds_max) FAIL("the event loop does not come to rest");
    world.tgtd->turn();
  }
  for (auto& target : world.tgtd->targets) {
    for (auto& lu : target->lus) {
      if (std::ranges::find(running, lu.get()) != running.end()) lu->stalled = false;
    }
  }
}

// ---- with one ----

Rig::Rig(const RigOptions& options) : BareRig(config_text(options)) {
  if (options.device) world.fabric->add_hca();
  driver.emplace();
  rig = this;
  make_target(1, "iqn.2024-01.org.example:disk");
}

Rig::~Rig() {
  before_end = nullptr;
  world.faults.clear();
  give_memory_back();
  for (auto& target : world.tgtd->targets) {
    for (auto& lu : target->lus) lu->stalled = false;
  }
  run();
  rig = nullptr;
  driver.reset();
  clients.clear();
}

fake::Target& Rig::make_target(int tid, const std::string& name) {
  fake::Target& made = world.tgtd->create_target(tid, name);
  made.addresses.emplace_back("ALL");
  world.tgtd->create_lu(made, 1, 64, false);
  world.tgtd->create_lu(made, 2, 64, false);
  return made;
}

void Rig::run_cm() {
  auto& connections = world.cm->connections;
  fake::Choices choices;
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < connections.size(); ++i) {
      fake::CmConnection& one = *connections[i];
      if (one.requested && one.to_target.empty() && one.to_initiator.empty()) continue;
      const bool timewait = std::exchange(one.timewait, false);  // it lasts until a test ends it
      choices.clear();
      one.add_choices(choices);
      choices.run_one(world.random);
      one.timewait = one.timewait || timewait;
      any = true;
    }
  }
}

void Rig::run_fabric() { run_choices(*world.fabric); }

void Rig::deliver(Client& client) {
  fake::Qp& pair = qp(client);
  std::deque<fake::SendWork> posted;
  posted.swap(pair.sends);
  run_choices(pair);
  posted.swap(pair.sends);
}

void Rig::run() {
  for (int i = 0; i < rounds_max; ++i) {
    run_cm();
    run_fabric();
    run_loop();
    if (world.tgtd->busy()) complete_one();
    bool messages = false;
    for (const auto& one : world.cm->connections) {
      messages =
          messages || !one->requested || !one->to_target.empty() || !one->to_initiator.empty();
    }
    fake::Choices choices;
    world.fabric->add_choices(choices);
    if (!messages && choices.empty() && !world.tgtd->busy()) return;
  }
  FAIL("the world does not come to rest");
}

void Rig::complete_one() {
  world.tgtd->complete_one();
  run_loop();
}

void Rig::tick(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    silent_tick();
    run_fabric();
    run_loop();
  }
}

void Rig::silent_tick(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    world.tgtd->tick();
    run_loop();
  }
}

// ---- logins ----

wire::LoginReqRdma Rig::login_request(const LoginOptions& options) {
  wire::LoginReqRdma request{};
  request.tag = tag_of(0x1234567890);
  request.required_formats = std::uint16_t{0x0006};
  request.flags = static_cast<std::uint8_t>(options.action);
  request.max_iu_bytes = std::uint32_t{1024};
  request.initiator_port[15] = options.initiator;
  if (const TargetPort* found = driver->ports().find(options.tid))
    request.target_port = found->id();
  return request;
}

Client& Rig::connect_with(const Bytes& private_data, const LoginOptions& options) {
  Client& client = *clients.emplace_back(std::make_unique<Client>());
  client.confirms = options.confirms;
  fake::ConnectRequest request;
  request.port = driver->config().settings.rdma_cm_port;
  request.private_data = private_data;
  request.responder_resources = options.read_depth;
  auto& source = reinterpret_cast<sockaddr_in&>(request.source);
  source.sin_family = AF_INET;
  source.sin_port = htons(static_cast<std::uint16_t>(40000 + clients.size()));
  source.sin_addr.s_addr = htonl(0x0a000100U + options.initiator);
  auto& destination = reinterpret_cast<sockaddr_in&>(request.destination);
  destination.sin_family = AF_INET;
  destination.sin_addr.s_addr = htonl(0x0a000001);
  if (options.by_gid) {
    request.source = fake::gid_address(1, options.initiator);
    request.destination = fake::gid_address(0, 1);
  }
  client.connection = &world.cm->connect(client, *world.fabric->hcas.back(), std::move(request));
  return client;
}

Client& Rig::connect(const LoginOptions& options) {
  const wire::LoginReqRdma request = login_request(options);
  if (options.by_gid) return connect_with(fake::in_ib_form(request), options);
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&request);
  return connect_with({raw, raw + sizeof request}, options);
}

Client& Rig::log_in(const LoginOptions& options) {
  Client& client = connect(options);
  run_cm();
  run_loop();
  run_cm();
  run_loop();
  run_cm();
  run_loop();
  CHECK_TRUE_TEXT(client.login_rsp.has_value(), "the login was not accepted");
  clear_attentions();
  return client;
}

void Rig::clear_attentions() {
  for (auto& target : world.tgtd->targets) {
    for (auto& nexus : target->nexuses) nexus->attentions.clear();
  }
}

// ---- commands ----

const Answer& Rig::ask(Client& client, const CmdSpec& spec) {
  client.send(spec);
  run();
  return client.answer_to(spec.tag);
}

void Rig::hand_in(Client& client, const CmdSpec& spec) {
  client.send(spec);
  deliver(client);
  run_loop();
}

wire::MemoryDesc Rig::data_of_write(Client& client, std::uint32_t lba, std::size_t blocks,
                                    std::uint64_t lun) {
  const fake::Unit unit{target().tid, lun};
  fake::Write issued;
  issued.unit = unit;
  issued.lba = lba;
  issued.blocks = blocks;
  issued.initiator = 0;
  issued.since = world.tgtd->ledger.now();
  const std::uint64_t number = world.tgtd->ledger.issue(issued);
  writes_.push_back(number);
  const wire::MemoryDesc descriptor = client.offer(blocks * fake::block_bytes);
  fake::Ledger::fill(client.bytes_of(descriptor), number, unit, lba);
  return descriptor;
}

CmdSpec Rig::write(Client& client, std::uint64_t tag, std::uint32_t lba, std::uint16_t blocks,
                   std::uint64_t lun) {
  return {.tag = tag,
          .lun = peripheral_lun(lun),
          .cdb = write_10(lba, blocks),
          .out = {data_of_write(client, lba, blocks, lun)}};
}

CmdSpec Rig::read(Client& client, std::uint64_t tag, std::uint32_t lba, std::uint16_t blocks,
                  std::uint64_t lun) {
  return {.tag = tag,
          .lun = peripheral_lun(lun),
          .cdb = read_10(lba, blocks),
          .in = {client.offer(blocks * fake::block_bytes)}};
}

unsigned Rig::commits() const {
  unsigned sum = 0;
  for (const std::uint64_t number : writes_) sum += world.tgtd->ledger.write(number).commits;
  return sum;
}

// ---- parts ----

Channel& Rig::channel(const Client& client) {
  return *static_cast<Channel*>(qp(client).qp_context);
}

tgt::scsi_cmd& Rig::held() {
  for (auto& nexus : target().nexuses) {
    tgt::list_head& list = nexus->cmd_list;
    if (list.next == &list) continue;
    return tgt::container_of<tgt::scsi_cmd>(list.next, offsetof(tgt::scsi_cmd, c_hlist));
  }
  FAIL("tgtd holds no command");
  std::abort();
}

void Rig::end_with(int status, int sense_bytes, std::uint8_t key) {
  before_end = [=](tgt::scsi_cmd& cmd, int) {
    std::memset(cmd.sense_buffer, 0, sizeof cmd.sense_buffer);
    cmd.sense_buffer[0] = 0x70;
    cmd.sense_buffer[2] = key;
    cmd.sense_len = sense_bytes;
    return status;
  };
}

void Rig::exhaust_memory() {
  BufferPool& pool = device().buffers();
  for (std::size_t bytes = pool.extent_bytes(); bytes >= page_bytes; bytes /= 2) {
    for (Buffer buffer = pool.allocate(bytes); buffer.data != nullptr;
         buffer = pool.allocate(bytes)) {
      hogged_.push_back(buffer);
    }
  }
}

void Rig::give_memory_back() {
  for (const Buffer& buffer : hogged_) device().buffers().release(buffer);
  hogged_.clear();
}

}  // namespace srp::test
