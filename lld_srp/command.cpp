#include "lld_srp/command.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "lld_srp/limits.h"
#include "lld_srp/screen.h"
#include "lld_srp/tape.h"
#include "plugin_api/passthrough.h"
#include "plugin_api/shield.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

constexpr std::uint8_t op_request_sense = 0x03;

constexpr unsigned bit(CommandState state) noexcept { return 1U << static_cast<unsigned>(state); }

using State = CommandState;

constexpr unsigned served = bit(State::table_waiting) | bit(State::table_fetching) |
                            bit(State::waiting) | bit(State::fetching) | bit(State::held) |
                            bit(State::executing);

constexpr std::array<unsigned, command_states> moves = {
    /* idle           */ bit(State::queued) | served | bit(State::responding),
    /* queued         */ served | bit(State::responding) | bit(State::idle),
    /* table_waiting  */ bit(State::table_fetching) | bit(State::idle),
    /* table_fetching */ bit(State::waiting) | bit(State::fetching) | bit(State::held) |
        bit(State::executing) | bit(State::responding) | bit(State::idle),
    /* waiting        */ bit(State::fetching) | bit(State::held) | bit(State::executing) |
        bit(State::responding) | bit(State::idle),
    /* fetching       */ bit(State::held) | bit(State::executing) | bit(State::responding) |
        bit(State::idle),
    /* held           */ bit(State::executing) | bit(State::responding) | bit(State::idle),
    /* executing      */ bit(State::responding) | bit(State::idle),
    /* responding     */ bit(State::idle),
};

constexpr bool every_live_state_can_end() {
  for (unsigned state = 1; state < command_states; ++state) {
    if ((moves[state] & bit(CommandState::idle)) == 0) return false;
  }
  return true;
}
static_assert(every_live_state_can_end(), "a closing channel must be able to drop any command");

constexpr std::uint32_t clamp32(std::uint64_t value) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xffffffff));
}

std::size_t table_bytes(const DataBuffer& side) noexcept {
  return side.incomplete() ? side.table_count * sizeof(wire::MemoryDesc) : 0;
}

}  // namespace

const char* name_of(CommandState state) noexcept {
  constexpr const char* names[command_states] = {
      "idle",     "queued", "waiting for a table", "fetching a table", "waiting",
      "fetching", "held",   "executing",           "responding"};
  return names[static_cast<unsigned>(state)];
}

const TaskSet::Entry::Owner Command::entry_owner = {
    [](TaskSet::Entry& entry) noexcept { static_cast<Command&>(entry).abort(); },
    [](TaskSet::Entry& entry) noexcept { static_cast<Command&>(entry).proceed(); },
};

Command::WaiterOf::WaiterOf(Command& c) noexcept
    : Waiter([](Waiter& waiter, const Buffer& buffer) noexcept {
        Command& waiting = static_cast<WaiterOf&>(waiter).command;
        waiting.state_ == State::table_waiting ? waiting.on_table_memory(buffer)
                                               : waiting.on_memory(buffer);
      }),
      command(c) {}

Command::Command(Channel& channel, Session& session, Pool& idle, std::uint32_t index)
    : Entry(entry_owner),
      channel_(channel),
      session_(session),
      idle_(idle),
      index_(index),
      waiter_(*this),
      fetch_(*this),
      reply_(*this),
      scsi_(*this) {
  origin = &channel;
  idle_.push_front(*this);
}

Command::~Command() { SRP_ASSERT(state_ == State::idle); }

void Command::enter(CommandState next) noexcept {
  SRP_ASSERT((moves[static_cast<unsigned>(state_)] & bit(next)) != 0);
  state_ = next;
}

void Command::start(Receive& receive) noexcept {
  receive_ = &receive;
  plan_ = {};
  const CmdFault fault =
      parse_cmd({receive.iu, receive.bytes}, channel_.sizes().immediate_offset, request_);
  tag = request_.tag;
  lun = decode_lun(request_.lun);
  const std::uint16_t sense = examine(fault);
  attribute = sense == 0 ? request_.attribute : wire::TaskAttribute::simple;
  session_.tasks().insert(*this);
  ++session_.stats().commands;
  if (sense != 0) return refuse(sense);
  if (!session_.tasks().begin(*this)) return enter(State::queued);
  begin();
}

std::uint16_t Command::examine(CmdFault fault) noexcept {
  if (fault != CmdFault::none) return static_cast<std::uint16_t>(fault);
  switch (request_.attribute) {
    case wire::TaskAttribute::simple:
    case wire::TaskAttribute::head_of_queue:
    case wire::TaskAttribute::ordered: return 0;
    case wire::TaskAttribute::aca: return invalid_field_in_cdb;  // there is never such a condition
  }
  return static_cast<std::uint16_t>(CmdFault::invalid_field);
}

void Command::proceed() noexcept { state_ == State::queued ? begin() : execute(); }

// The unit is looked at now, not on arrival: those that were ahead may have changed it.
void Command::begin() noexcept {
  tgt::target* target = tgt::find_target(session_.nexus().tid());
  const tgt::scsi_lu* lu = target ? tgt::find_lu(*target, lun) : nullptr;
  const std::size_t bytes_max = channel_.device().buffers().extent_bytes();
  if (const auto sense = make_plan(request_, lu, bytes_max, plan_)) return refuse(sense);
  // tgtd refuses an allocation length beyond the buffer: the CDB, which is ours, asks for less.
  if (plan_.kind == CdbKind::parameter && plan_.in_wanted > plan_.in_bytes) {
    set_allocation_length(cdb(), plan_.in_bytes);
  }
  if (!request_.out.inside.empty()) ++session_.stats().immediate;
  const bool table = request_.out.incomplete() || request_.in.incomplete();
  if (table || request_.out.descriptors.size() > 1 || request_.in.descriptors.size() > 1) {
    ++session_.stats().indirect;
  }
  table ? get_table_memory() : get_memory();
}

// Memory for tables is apart from that for data: who waits for data may have a table, but who
// waits for a table has nothing.
void Command::get_table_memory() noexcept {
  ++session_.stats().tables;
  BufferPool& pool = channel_.device().tables();
  const std::size_t bytes = table_bytes(request_.out) + table_bytes(request_.in);
  enter(State::table_waiting);
  const Party party = party_of(session_.nexus().tid(), lun);
  const Buffer buffer = pool.allocate(bytes, party);
  if (buffer.data != nullptr) return on_table_memory(buffer);
  pool.wait(waiter_, bytes, party);
}

void Command::on_table_memory(const Buffer& buffer) noexcept {
  tables_ = buffer;
  enter(State::table_fetching);
  on_table();
}

// What the IU holds of the table is not fetched again.
void Command::fetch_table(DataBuffer& side, wire::MemoryDesc* table) noexcept {
  const std::size_t known = side.descriptors.size();
  const std::size_t known_bytes = known * sizeof(wire::MemoryDesc);
  const auto rest_bytes = static_cast<std::uint32_t>(table_bytes(side) - known_bytes);
  if (known != 0) std::memcpy(table, side.descriptors.data(), known_bytes);
  table_rest_ = {side.table.address + known_bytes, side.table.key, rest_bytes};
  side.descriptors = {table, side.table_count};
  fetch_.from = {{&table_rest_, 1}, rest_bytes};
  fetch_.to = reinterpret_cast<std::uint8_t*>(table + known);
  fetch_.lkey = tables_.lkey;
  channel_.fetch(fetch_);
}

// Fetches the next table that is missing. From its arrival on a table is ours: it is checked once,
// and the initiator cannot change it any more.
void Command::on_table() noexcept {
  auto* table = reinterpret_cast<wire::MemoryDesc*>(tables_.data);
  if (request_.out.incomplete()) return fetch_table(request_.out, table);
  if (request_.out.table_count != 0) table += request_.out.table_count;
  if (request_.in.incomplete()) return fetch_table(request_.in, table);
  for (const DataBuffer* side : {&request_.out, &request_.in}) {
    if (side->table_count != 0 && !covers(side->descriptors, side->bytes)) {
      return refuse(static_cast<std::uint16_t>(CmdFault::invalid_field));
    }
  }
  get_memory();
}

std::span<std::uint8_t> Command::cdb() noexcept {
  return {receive_->iu + offsetof(wire::Cmd, cdb), sizeof wire::Cmd::cdb};
}

// Data-out that is no medium's: it has been copied into memory of the command's own.
std::span<const std::uint8_t> Command::parameters() const noexcept {
  if (plan_.kind != CdbKind::parameter || buffer_.data == nullptr) return {};
  return {buffer_.data, plan_.fetch_bytes};
}

void Command::get_memory() noexcept {
  BufferPool& pool = channel_.device().buffers();
  const std::size_t bytes = std::size_t{plan_.out_room} + plan_.in_room;
  if (bytes == 0) return on_fetched();
  const Party party = party_of(session_.nexus().tid(), lun);
  const Buffer buffer = pool.allocate(bytes, party);
  if (buffer.data != nullptr) return on_memory(buffer);
  trace(Trace::data, "%s: opcode 0x%02x waits for %zu bytes", session_.initiator_name().c_str(),
        request_.cdb[0], bytes);
  enter(State::waiting);
  pool.wait(waiter_, bytes, party);
}

void Command::on_memory(const Buffer& buffer) noexcept {
  buffer_ = buffer;
  std::uint8_t* const out = buffer_.data;
  if (plan_.zero_in) std::memset(out + plan_.out_room, 0, plan_.in_room);
  if (plan_.out_room != 0) {
    std::memset(out + plan_.fetch_bytes, 0, plan_.out_room - plan_.fetch_bytes);
  }
  if (plan_.out_in_place || plan_.fetch_bytes == 0) return on_fetched();
  if (!request_.out.inside.empty()) {
    std::memcpy(out, request_.out.inside.data(), plan_.fetch_bytes);
    return on_fetched();
  }
  enter(State::fetching);
  fetch_.from = {request_.out.descriptors, plan_.fetch_bytes};
  fetch_.to = out;
  fetch_.lkey = buffer_.lkey;
  channel_.fetch(fetch_);
}

void Command::on_read() noexcept {
  if (aborted()) {
    if (fetch_.outstanding == 0) end();
  } else if (fetch_.complete()) {
    state_ == State::table_fetching ? on_table() : on_fetched();
  }
}

void Command::on_fetched() noexcept {
  if (!session_.admit(*this)) return enter(State::held);
  execute();
}

// The one place where a scsi_cmd is filled and handed to tgtd.
void Command::execute() noexcept {
  if (channel_.closing()) return end();  // a dead channel's command must not reach the medium
  tgt::target* target = tgt::find_target(session_.nexus().tid());
  tgt::scsi_lu* lu = target ? tgt::find_lu(*target, lun) : nullptr;
  // The unit may have been deleted, or made anew, since the plan was made.
  if (medium_of(lu) != plan_.medium) return refuse(unit_not_supported);
  if (lu != nullptr) {
    const Objection objection = screen(*lu, cdb(), parameters());
    if (objection.sense != 0) return refuse(objection.sense);
    if (objection.status != 0) return turn_away(objection.status);
  }
  fill_scsi();
  enter(State::executing);
  if (lu != nullptr && plan_.medium.passthrough) return submit_to_device(*lu);
  if (lu != nullptr && request_.cdb[0] == tgt::op_persistent_reserve_out) [[unlikely]] {
    tgt::ReservationGuard guard{*lu};
    (void)submit();
    guard.mend();
    return;
  }
  (void)submit();
}

// tgtd neither counts the command nor minds its unit being deleted under it: see passthrough.h.
void Command::submit_to_device(tgt::scsi_lu& lu) noexcept {
  scsi_.scb_len = tgt::cdb_bytes(request_.cdb[0]);
  tgt::pin(lu);
  if (!submit()) tgt::unpin(lu);
}

void Command::fill_scsi() noexcept {
  static_cast<tgt::scsi_cmd&>(scsi_) = {};
  std::uint8_t* const scratch = channel_.device().scratch();
  // A receive is ours to write as well: WRITE SAME puts the LBA into its block.
  std::uint8_t* const out = plan_.out_in_place
                                ? const_cast<std::uint8_t*>(request_.out.inside.data())
                                : (plan_.out_room ? buffer_.data : scratch);
  std::uint8_t* const in = plan_.in_room ? buffer_.data + plan_.out_room : scratch;
  scsi_.scb = cdb().data();
  scsi_.scb_len = static_cast<int>(request_.cdb.size());
  std::ranges::copy(encode_lun(lun), scsi_.lun);
  scsi_.tag = reinterpret_cast<std::uint64_t>(this);  // unique in the nexus; ours, not the wire's
  scsi_.out_sdb.buffer = reinterpret_cast<std::uint64_t>(out);
  scsi_.out_sdb.length = plan_.fetch_bytes;
  scsi_.in_sdb.buffer = reinterpret_cast<std::uint64_t>(in);
  scsi_.in_sdb.length = plan_.in_bytes;
  const bool writes = request_.out.bytes != 0;
  const bool reads = request_.in.bytes != 0;
  scsi_.data_dir = writes ? (reads ? tgt::DATA_BIDIRECTIONAL : tgt::DATA_WRITE)
                          : (reads ? tgt::DATA_READ : tgt::DATA_NONE);
}

// True: tgtd has the command, or has had it: on_executed() may have run, and nothing may follow.
bool Command::submit() noexcept {
  switch (session_.nexus().submit(scsi_)) {
    case tgt::Submitted::accepted: return true;
    case tgt::Submitted::target_busy: turn_away(sam_busy); return false;
    case tgt::Submitted::nexus_gone:
      session_.finish(*this);
      channel_.fail("the target is gone");
      end();
      return false;
  }
  return false;
}

void Command::on_executed(int status) noexcept {
  SRP_ASSERT(state_ == State::executing);
  const bool answered = !aborted() && !channel_.closing();
  // The response goes first: a task's answer that tgtd gives inside retire() must not overtake it.
  if (answered) {
    const auto sam = static_cast<std::uint8_t>(status);
    const Moved moved = moved_in_tgtd(sam);
    const std::uint32_t in_bytes = clamp32(std::min<std::uint64_t>(moved.in, request_.in.bytes));
    const CmdResult result = result_of(sam, moved);
    session_.stats().bytes_in += in_bytes;
    session_.stats().bytes_out += plan_.fetch_bytes;
    respond(result, in_bytes);
  }
  if (plan_.medium.passthrough) tgt::unpin(*scsi_.dev);
  session_.nexus().retire(scsi_);
  session_.finish(*this);
  if (!answered) end();
}

Moved Command::moved_in_tgtd(std::uint8_t status) noexcept {
  if (plan_.medium.tape) tape::mend_sense(sense());
  Moved moved = moved_by(plan_, request_.cdb, scsi_, status);
  if (status == sam_good && request_.cdb[0] == op_request_sense && scsi_.sense_len > 0) {
    // For a missing unit tgtd leaves the data alone and puts the answer where sense belongs.
    moved.in = std::min<std::uint32_t>(static_cast<std::uint32_t>(scsi_.sense_len), plan_.in_bytes);
    std::memcpy(buffer_.data + plan_.out_room, scsi_.sense_buffer, moved.in);
  }
  return moved;
}

CmdResult Command::result_of(std::uint8_t status, const Moved& moved) noexcept {
  CmdResult result{.status = status, .out = {}, .in = {}, .sense = {}};
  const bool succeeded = status == sam_good || status == sam_condition_met;
  if (!succeeded) ++session_.stats().errors;
  result.out = residual(request_.out.bytes, succeeded ? plan_.out_wanted : moved.out, moved.out);
  const std::uint64_t in_wanted =
      succeeded && plan_.kind == CdbKind::medium_read ? plan_.in_wanted : moved.in;
  result.in =
      residual(request_.in.bytes, in_wanted, std::min<std::uint64_t>(moved.in, request_.in.bytes));
  if (status == sam_check_condition) result.sense = sense();
  return result;
}

std::span<std::uint8_t> Command::sense() noexcept {
  const int bytes = std::clamp(scsi_.sense_len, 0, int{tgt::scsi_sense_buffersize});
  return {scsi_.sense_buffer, static_cast<std::size_t>(bytes)};
}

void Command::refuse(std::uint16_t additional_sense) noexcept {
  // Fixed format: ILLEGAL REQUEST.
  const std::uint8_t sense[18] = {0x70,
                                  0,
                                  0x05,
                                  0,
                                  0,
                                  0,
                                  0,
                                  10,
                                  0,
                                  0,
                                  0,
                                  0,
                                  static_cast<std::uint8_t>(additional_sense >> 8),
                                  static_cast<std::uint8_t>(additional_sense)};
  session_.finish(*this);
  ++session_.stats().errors;
  respond({.status = sam_check_condition,
           .out = residual(request_.out.bytes, 0, 0),
           .in = residual(request_.in.bytes, 0, 0),
           .sense = sense},
          0);
}

void Command::note_failure(const CmdResult& result) noexcept {
  // Sense data has the key and the additional code in two layouts.
  constexpr std::uint8_t descriptor_format = 0x02;  // of the low bits of 72h and 73h
  const auto sense = result.sense;
  FailedCommand& failed = session_.stats().failed;
  failed = {std::time(nullptr), lun, request_.cdb[0], result.status, 0, 0, 0};
  if (sense.size() >= 4 && (sense[0] & descriptor_format) != 0) {
    failed.sense_key = sense[1] & 0x0f;
    failed.asc = sense[2];
    failed.ascq = sense[3];
  } else if (sense.size() >= 14) {
    failed.sense_key = sense[2] & 0x0f;
    failed.asc = sense[12];
    failed.ascq = sense[13];
  }
}

// The initiator shall try again later.
void Command::turn_away(std::uint8_t status) noexcept {
  session_.finish(*this);
  respond({.status = status,
           .out = residual(request_.out.bytes, 0, 0),
           .in = residual(request_.in.bytes, 0, 0),
           .sense = {}},
          0);
}

void Command::respond(const CmdResult& result, std::uint32_t in_bytes) noexcept {
  if (traced(Trace::iu)) [[unlikely]] {
    trace(Trace::iu, "%s: opcode 0x%02x of unit %llu: status 0x%02x, %u bytes in",
          session_.initiator_name().c_str(), request_.cdb[0], static_cast<unsigned long long>(lun),
          result.status, in_bytes);
  }
  if (result.status != sam_good) note_failure(result);
  enter(State::responding);
  channel_.credits().earn();
  reply_.iu = channel_.response_iu(index_);
  reply_.solicited = wants_solicited(request_.solnt, result.status == sam_good);
  reply_.iu_bytes = static_cast<std::uint32_t>(
      build_rsp({reply_.iu, channel_.sizes().response_bytes},
                {tag, channel_.credits().announce(), reply_.solicited}, result));
  reply_.to = {request_.in.descriptors, in_bytes};
  reply_.from = in_bytes != 0 ? buffer_.data + plan_.out_room : nullptr;  // it may have none
  reply_.lkey = buffer_.lkey;
  channel_.reply(reply_);
}

void Command::on_responded() noexcept {
  SRP_ASSERT(state_ == State::responding);
  end();
}

void Command::abort() noexcept {
  switch (state_) {
    case State::table_waiting:
    case State::waiting: leave_line(); return end();
    case State::queued:
    case State::held: return end();
    case State::table_fetching:
    case State::fetching:
      if (channel_.cancel(fetch_)) end();  // else on_read() ends it
      return;
    case State::idle:
    case State::executing:   // on_executed() ends it without a response
    case State::responding:  // the response is out already, in front of the task's
      return;
  }
}

void Command::drop() noexcept {
  if (state_ == State::idle || state_ == State::executing) return;
  leave_line();
  fetch_.outstanding = 0;
  end();
}

void Command::leave_line() noexcept {
  BufferPool& pool =
      state_ == State::table_waiting ? channel_.device().tables() : channel_.device().buffers();
  pool.leave(waiter_);
}

void Command::end() noexcept {
  if (state_ != State::responding) channel_.credits().earn();  // announced by a later response
  enter(State::idle);
  channel_.device().buffers().release(buffer_);
  channel_.device().tables().release(tables_);
  buffer_ = tables_ = {};
  channel_.release(*receive_);
  receive_ = nullptr;
  session_.end(*this);
  idle_.push_front(*this);
}

}  // namespace srp
