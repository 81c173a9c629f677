// A driver between the fake fabric, the fake connection manager and the fake tgtd, moved on by
// hand.
//
// Unlike the simulation, nothing here is left to chance: a test says what happens next. The driver
// is a Driver of the test's own, so that all of its parts can be reached; module_test.cpp is about
// the one that the module makes. When a rig ends, the driver must have given back everything.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lld_srp/driver.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"
#include "tests/unit/client.h"

namespace srp::test {

// srp.conf, in a file of its own, for as long as this lives.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text);
  ~ConfigFile();
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// The fakes, with the driver's table registered and no driver behind it.
struct BareRig {
  explicit BareRig(const std::string& config = {});
  ~BareRig();
  BareRig(const BareRig&) = delete;
  BareRig& operator=(const BareRig&) = delete;

  // Runs handlers and jobs until there is nothing to do; stores complete nothing.
  void run_loop();
  static tgt::tgt_driver& table() { return *fake::Tgtd::driver(); }

  ConfigFile config;
  fake::World world{1};
};

struct RigOptions {
  unsigned credits = 4;
  unsigned send_queue = 64;
  std::string portals = R"([ "10.0.0.1" ])";
  std::string more = {};  // further settings
  bool device = true;
};

struct LoginOptions {
  wire::MultiChannelAction action = wire::MultiChannelAction::single;
  std::uint8_t read_depth = 4;  // that the initiator offers
  std::uint8_t initiator = 1;   // its number
  bool confirms = true;
  int tid = 1;
  bool by_gid = false;  // through InfiniBand's own connection manager
};

class Rig : public BareRig {
 public:
  explicit Rig(const RigOptions& options = {});
  ~Rig();

  // ---- the world goes on ----
  void run();                     // until nothing happens by itself; stores complete their commands
  void run_cm();                  // messages between the connection managers
  void run_fabric();              // everything that is posted is carried out
  void deliver(Client& client);   // its IUs arrive; nothing that the target posted moves
  void tick(unsigned count = 1);  // a quarter of a second passes, and what is posted is sent
  void silent_tick(unsigned count = 1);  // the same, but nothing that is posted moves
  void seconds(unsigned count) { tick(count * ticks_per_second); }
  // One command of a store that is not stalled is completed; what follows from it runs.
  void complete_one();

  // ---- logins ----
  // A connection request, on its way; log_in() waits until it is accepted and takes the new
  // session's unit attentions away.
  Client& connect(const LoginOptions& options = {});
  Client& log_in(const LoginOptions& options = {});
  Client& connect_with(const Bytes& private_data, const LoginOptions& options = {});
  [[nodiscard]] wire::LoginReqRdma login_request(const LoginOptions& options);
  void clear_attentions();

  // ---- commands ----
  // Sends it and lets the world go on; the answer.
  const Answer& ask(Client& client, const CmdSpec& spec);
  // Sends it and lets the target work, but nothing is completed.
  void hand_in(Client& client, const CmdSpec& spec);
  // A range of blocks that the unit will take: known to the ledger.
  wire::MemoryDesc data_of_write(Client& client, std::uint32_t lba, std::size_t blocks,
                                 std::uint64_t lun = 1);
  CmdSpec write(Client& client, std::uint64_t tag, std::uint32_t lba = 0, std::uint16_t blocks = 1,
                std::uint64_t lun = 1);
  CmdSpec read(Client& client, std::uint64_t tag, std::uint32_t lba = 0, std::uint16_t blocks = 1,
               std::uint64_t lun = 1);
  [[nodiscard]] unsigned commits() const;  // writes that reached the medium

  // ---- parts ----
  static Channel& channel(const Client& client);
  static Connection& connection(const Client& client) { return channel(client).connection(); }
  static Session& session(const Client& client) { return *connection(client).session(); }
  static fake::Qp& qp(const Client& client) { return *client.connection->qp; }
  [[nodiscard]] Listener& listener() { return *driver->listener(); }
  [[nodiscard]] TargetPort& port(int tid = 1) { return *driver->ports().find(tid); }
  [[nodiscard]] Device& device() { return *listener().devices().front(); }
  [[nodiscard]] fake::Hca& hca(std::size_t index = 0) { return *world.fabric->hcas[index]; }
  [[nodiscard]] fake::Target& target(int tid = 1) { return *world.tgtd->find_target(tid); }
  [[nodiscard]] fake::Lu& lu(std::uint64_t lun = 1, int tid = 1) {
    return *target(tid).find_lu(lun);
  }
  // The only command that tgtd holds.
  [[nodiscard]] tgt::scsi_cmd& held();
  fake::Target& make_target(int tid, const std::string& name);

  // Takes all data memory that is left, so that commands must wait for some.
  void exhaust_memory();
  void give_memory_back();

  // Sees each command when tgtd gives it back, before the driver does; returns its status.
  std::function<int(tgt::scsi_cmd&, int status)> before_end;
  // The next commands end with this status, and this many bytes of sense that say `key`.
  void end_with(int status, int sense_bytes = 0, std::uint8_t key = 5);

  std::optional<Driver> driver;
  std::vector<std::unique_ptr<Client>> clients;

 private:
  std::vector<Buffer> hogged_;
  std::vector<std::uint64_t> writes_;  // their numbers in the ledger
};

}  // namespace srp::test
