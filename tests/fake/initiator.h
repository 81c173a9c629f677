// An initiator: a host that logs in, sends commands and judges every answer.
//
// It is like Linux's where that matters (credits, tags, the order of channels) and freer elsewhere:
// it offers any memory, says any nonsense, leaves at any time. Whatever it sends, it knows what it
// may get.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lld_srp/wire.h"
#include "tests/fake/cm.h"
#include "tests/fake/ledger.h"

namespace srp::fake {

// A target port as initiators know it.
struct Site {
  int tid = 0;
  std::string name;
  wire::PortId port_id{};
  std::map<std::uint64_t, std::uint64_t> luns;  // LUN to blocks; LUN 0 is the controller
  std::set<std::uint64_t> null_luns;            // whose store moves nothing: they read as zeroes
  bool disturbed = false;  // by an administrator: units may be missing, commands refused
};

// What all initiators of a world share.
struct Host {
  std::vector<std::unique_ptr<Site>> sites;
  std::vector<Hca*> hcas;
  std::uint16_t port = 5000;
  std::uint32_t iu_bytes_max = 8276;   // that the target advertises
  std::uint32_t largest_command = 64;  // blocks
  // What a channel that was lost leaves in the store must not follow later commands of the
  // session's other channels either.
  bool strict_loss = true;
  bool immediate = false;  // the target grants immediate data
  bool t_logout = false;   // the target says goodbye before it closes a channel
};

enum class CommandKind : std::uint8_t {
  test_unit_ready,
  inquiry,
  report_luns,
  mode_sense,
  request_sense,
  read_capacity,
  read,
  write,
  synchronize,
  unmap,
};

// What the answer to a command must be.
enum class Demand : std::uint8_t {
  by_kind,          // what its kind says
  too_short,        // CHECK CONDITION 5/0E/01
  invalid_field,    // CHECK CONDITION 5/0E/03
  refused,          // any CHECK CONDITION 5
  refused_or_over,  // CHECK CONDITION 5, or GOOD with an overflow and without data
  cut,              // none: the channel is closed
  anything,         // any answer that is well formed
};

// A piece of memory that a command offers, and where in the command's memory it lies.
struct Piece {
  std::uint64_t address;
  std::uint32_t key;
  std::uint32_t bytes;
  std::size_t offset;
};

struct SentCommand {
  std::uint64_t tag = 0;
  CommandKind kind = CommandKind::test_unit_ready;
  Demand demand = Demand::by_kind;
  Unit unit;
  std::array<std::uint8_t, 16> cdb{};
  std::uint64_t lba = 0;
  std::uint64_t blocks = 0;
  std::uint32_t wanted = 0;   // data-in that the CDB asks for
  std::uint32_t offered = 0;  // bytes of the pieces
  bool data_out = false;      // the pieces are to be read
  wire::TaskAttribute attribute = wire::TaskAttribute::simple;
  std::uint8_t solnt = 0;
  bool immediate = false;     // data-out travels with the command
  std::size_t in_line = 255;  // descriptors in the IU; all of them are in `table` if not all are
  Piece table{};              // where the table lies
  Bytes table_memory;
  std::uint64_t number = 0;  // of the write
  std::uint64_t since = 0;   // the ledger's time when it was sent
  Bytes memory;
  std::vector<Piece> pieces;
  bool optional = false;  // it may stay without an answer: a reset failed on it
  bool aborting = false;
};

struct SentTask {
  std::uint64_t tag = 0;
  wire::TaskFunction function{};
  Unit unit;
  std::uint64_t task_tag = 0;
  std::uint8_t solnt = 0;
  std::vector<std::pair<unsigned, std::uint64_t>> covered;  // channel number, tag
  bool known_function = true;
  bool wild = false;  // any code will do
};

class Initiator;

class InitiatorChannel : public Peer {
 public:
  enum class State : std::uint8_t { requesting, up, down };

  InitiatorChannel(Initiator& owner, unsigned number, Site& site);
  ~InitiatorChannel() override;
  InitiatorChannel(const InitiatorChannel&) = delete;
  InitiatorChannel& operator=(const InitiatorChannel&) = delete;

  // ---- what it does ----
  void login(wire::MultiChannelAction action);
  void login_with_nonsense();
  void send_command();
  void send_task();
  void send_nonsense();
  // IUs and logins that chance has written or changed: what they mean nobody knows beforehand.
  void send_wild();
  void login_wild();
  void overdraw();
  void logout();
  void disconnect();
  void vanish();

  void send(SentCommand&& command, Bytes iu);
  SentCommand draw_command();
  void offer_memory(SentCommand& command, std::uint32_t bytes);
  Bytes build(const SentCommand& command) const;
  Bytes build_immediate(wire::Cmd& head, const SentCommand& command) const;
  void test_unit_ready();
  void read_or_write(CommandKind kind, const Unit& unit, std::uint64_t lba, std::uint64_t blocks);
  void abort(const SentCommand& command);
  // LUN RESET, ABORT TASK SET, CLEAR TASK SET.
  void reset(const Unit& unit, wire::TaskFunction function = wire::TaskFunction::lun_reset);

  // ---- Peer ----
  std::uint8_t* memory(std::uint64_t address, std::uint32_t key, std::size_t bytes,
                       RemoteAccess access) override;
  void on_iu(std::span<const std::uint8_t> iu) override;
  void on_queue_pair_error() override;
  [[nodiscard]] bool reachable() const override { return state == State::up; }
  [[nodiscard]] bool overdrew() const override { return overdrawn; }
  void on_login_response(std::span<const std::uint8_t> private_data) override;
  void on_login_reject(int reason, std::span<const std::uint8_t> private_data) override;
  void on_disconnect() override;

  [[nodiscard]] bool idle() const { return commands.empty() && tasks.empty(); }
  [[nodiscard]] bool can_send() const { return state == State::up && !doomed && credits > 0; }

  Initiator& owner;
  unsigned number;
  Site& site;
  State state = State::requesting;
  bool login_answered = false;
  bool must_be_refused = false;  // the login request is nonsense
  bool stranger = false;         // it logs in under a name of its own, and leaves at once
  bool wild = false;             // it has sent descriptors that nobody knows
  bool overdrawn = false;
  bool left = false;    // the target has said goodbye
  bool doomed = false;  // it must be closed by the target
  std::int64_t credits = 0;
  std::int64_t limit = 0;
  std::uint32_t response_bytes_max = 0;
  std::size_t immediate_offset = 0;  // where immediate data goes; 0: not granted
  wire::MultiChannelAction action{};
  wire::MultiChannelResult result{};
  std::uint64_t answers = 0;
  std::uint8_t last_status = 0;
  std::uint8_t last_code = 0;  // of a task
  std::unordered_map<std::uint64_t, SentCommand> commands;
  std::unordered_map<std::uint64_t, SentTask> tasks;
  CmConnection* connection = nullptr;

 private:
  void connect(Bytes private_data, bool by_gid);
  void log_in_with(const wire::LoginReqRdma& request, std::size_t bytes_max);
  void take_leave();
  [[nodiscard]] wire::LoginReqRdma login_request(wire::MultiChannelAction wanted) const;
  SentCommand draw_wild_command();
  Bytes mutated(SentCommand& command);
  Bytes tame(Bytes iu, std::uint64_t tag) const;
  void send_wild_task(std::uint64_t tag, Bytes iu);
  void forget(std::uint64_t tag, const char* why);
  void lose_writes();
  [[nodiscard]] bool target_has_seen_all() const;
  void go_down(const char* why);
  void check_grants(const wire::LoginRsp& rsp);
  void take_credits(std::uint32_t delta);
  void on_cred_req(std::span<const std::uint8_t> iu);
  void on_command_reply(SentCommand& command, const wire::Rsp& rsp,
                        std::span<const std::uint8_t> sense);
  void on_task_reply(const SentTask& task, const wire::Rsp& rsp,
                     std::span<const std::uint8_t> data);
  void send_task_iu(SentTask&& task);
  std::uint64_t next_tag();
  void keep_table(SentCommand& command);
  [[nodiscard]] wire::Lun lun_field(std::uint64_t lun) const;

  wire::LoginReqRdma asked_{};  // its login request
  std::uint32_t qp_num_ = 0;    // of the target's queue pair
};

class Initiator {
 public:
  Initiator(unsigned number, Host& host);
  ~Initiator();

  InitiatorChannel& add_channel(Site& site);
  // Forgets the channels that are down.
  void clean_up();
  [[nodiscard]] InitiatorChannel* channel(unsigned channel_number) const;
  // A reset of the unit by channel `by` may have ended commands that others sent meanwhile.
  void doubt(const Site& site, const Unit& unit, const InitiatorChannel* by);

  unsigned number;
  Host& host;
  wire::PortId port_id{};
  bool by_gid;  // it logs in through InfiniBand's own connection manager
  std::vector<std::unique_ptr<InitiatorChannel>> channels;
  unsigned next_channel = 1;
  std::uint64_t next_tag = 1;
  std::uint32_t next_key = 1;

  // Memory that targets were told of, by its key.
  struct Region {
    unsigned channel = 0;
    std::uint64_t tag = 0;
    std::uint64_t first = 0;  // its addresses, as far as they go
    std::uint64_t past = 0;
    const char* closed = nullptr;  // why it must not be touched any more
    bool bogus = false;            // it never was there
    bool table = false;            // it holds descriptors

    [[nodiscard]] bool holds(std::uint64_t address) const noexcept {
      return address >= first && address < past;
    }
  };
  std::unordered_map<std::uint32_t, Region> regions;

  // Writes of channels that are gone, until the target knows that.
  struct LostWrite {
    int tid;
    std::uint64_t number;
    std::uint32_t qp_num;  // the target's
  };
  std::vector<LostWrite> lost_writes;
  // Resets whose channel is gone: whether and when the target acts on them, nobody learns.
  std::vector<Unit> loose_resets;
  // Tells the ledger of those that the target must keep from the unit: all of them when it has made
  // a new session, else those of channels that it has taken down.
  void report_losses(const Site& site, bool all);
};

// Judges the answer to a command; fails if it is wrong.
void judge(const SentCommand& command, const wire::Rsp& rsp, std::span<const std::uint8_t> sense,
           const Site& site);

// What the memory of a command holds where nobody has written.
std::uint8_t untouched(std::size_t offset);

std::span<const std::uint8_t> bytes_of(const auto& object) {
  return {reinterpret_cast<const std::uint8_t*>(&object), sizeof object};
}

}  // namespace srp::fake
