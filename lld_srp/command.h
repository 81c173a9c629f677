// The life of one SRP_CMD, in time order: start, table, memory, fetch, execute, respond, end.
//
// Commands are made once per channel, as many as its request limit, and used over and over. A
// command owns its receive (CDB, descriptors and immediate data stay in the IU), its memory and its
// place in the task set from start() to end(). Between execute() and on_executed() buffer and
// scsi_cmd are tgtd's, which nothing can shorten: not an abort, not a lost connection.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "lld_srp/iu.h"
#include "lld_srp/plan.h"
#include "lld_srp/session.h"

namespace srp {

enum class CommandState : std::uint8_t {
  idle,
  queued,          // behind a command of the same unit, by its task attribute
  table_waiting,   // for memory for the initiator's table of descriptors
  table_fetching,  // the table is on its way
  waiting,         // for data memory
  fetching,        // data-out is on its way
  held,            // behind an abandoned command of the same unit
  executing,       // tgtd's
  responding,      // the response waits for the send queue or for its completion
};
inline constexpr unsigned command_states = 9;

// "waiting", "executing" ...
const char* name_of(CommandState state) noexcept;

class Command : private TaskSet::Entry, public QueueHook {
 public:
  // A stack of idle commands.
  using Pool = boost::intrusive::list<Command, boost::intrusive::base_hook<QueueHook>,
                                      boost::intrusive::constant_time_size<false>>;

  // index: of its response buffer in the channel.
  Command(Channel& channel, Session& session, Pool& idle, std::uint32_t index);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // The IU in receive is an SRP_CMD of full length, and its credit is spent. The command owns
  // receive.
  void start(Receive& receive) noexcept;

  // Completions.
  void on_read() noexcept;
  void on_responded() noexcept;
  // tgtd's cmd_end_notify.
  static Command& of(tgt::scsi_cmd& scsi) noexcept { return static_cast<Scsi&>(scsi).command; }
  void on_executed(int status) noexcept;

  // The queue pair is destroyed: ends the command, unless tgtd has it.
  void drop() noexcept;

  [[nodiscard]] CommandState state() const noexcept { return state_; }

 private:
  struct Scsi : tgt::scsi_cmd {  // tgtd hands back the scsi_cmd that it was given
    explicit Scsi(Command& c) noexcept : scsi_cmd{}, command(c) {}
    Command& command;
  };
  struct FetchOf : Fetch {
    explicit FetchOf(Command& c) noexcept : command(c) {}
    Command& command;
  };
  struct ReplyOf : Reply {
    explicit ReplyOf(Command& c) noexcept : Reply(verbs::WorkKind::command_reply), command(c) {}
    Command& command;
  };
  struct WaiterOf : BufferPool::Waiter {
    explicit WaiterOf(Command& c) noexcept;
    Command& command;
  };
  static const TaskSet::Entry::Owner entry_owner;

  // State is written here only.
  void enter(CommandState next) noexcept;

  // Sense of ILLEGAL REQUEST for the command, 0 if it can be served.
  [[nodiscard]] std::uint16_t examine(CmdFault fault) noexcept;
  // In the receive, which is the command's own.
  [[nodiscard]] std::span<std::uint8_t> cdb() noexcept;
  void proceed() noexcept;
  void begin() noexcept;
  void get_table_memory() noexcept;
  void on_table_memory(const Buffer& buffer) noexcept;
  void fetch_table(DataBuffer& side, wire::MemoryDesc* table) noexcept;
  void on_table() noexcept;
  void get_memory() noexcept;
  void on_memory(const Buffer& buffer) noexcept;
  void on_fetched() noexcept;
  void execute() noexcept;
  [[nodiscard]] std::span<const std::uint8_t> parameters() const noexcept;
  void fill_scsi() noexcept;
  bool submit() noexcept;
  void submit_to_device(tgt::scsi_lu& lu) noexcept;
  [[nodiscard]] CmdResult result_of(std::uint8_t status, const Moved& moved) noexcept;
  [[nodiscard]] Moved moved_in_tgtd(std::uint8_t status) noexcept;
  [[nodiscard]] std::span<std::uint8_t> sense() noexcept;  // what tgtd has written
  void turn_away(std::uint8_t status) noexcept;
  void refuse(std::uint16_t additional_sense) noexcept;
  void note_failure(const CmdResult& result) noexcept;
  void respond(const CmdResult& result, std::uint32_t in_bytes) noexcept;
  void abort() noexcept;
  void leave_line() noexcept;
  void end() noexcept;

  Channel& channel_;
  Session& session_;
  Pool& idle_;
  std::uint32_t index_;
  CommandState state_ = CommandState::idle;
  Receive* receive_ = nullptr;
  CmdRequest request_{};
  DataPlan plan_;
  Buffer tables_;                  // descriptors that do not lie in the IU, data-out's first
  wire::MemoryDesc table_rest_{};  // where those that are being fetched lie
  Buffer buffer_;                  // data-out, then data-in
  WaiterOf waiter_;
  FetchOf fetch_;
  ReplyOf reply_;
  Scsi scsi_;

  friend struct CommandWork;
};

// From a completion's Work to its command.
struct CommandWork {
  static Command& of_fetch(Fetch& fetch) noexcept {
    return static_cast<Command::FetchOf&>(fetch).command;
  }
  static Command& of_reply(Reply& reply) noexcept {
    return static_cast<Command::ReplyOf&>(reply).command;
  }
};

}  // namespace srp
