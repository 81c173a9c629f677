#include "lld_srp/command.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "lld_srp/limits.h"
#include "plugin_api/shield.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

// SAM status codes.
constexpr std::uint8_t good = 0x00;
constexpr std::uint8_t check_condition = 0x02;
constexpr std::uint8_t condition_met = 0x04;
constexpr std::uint8_t busy = 0x08;

// Additional sense codes, with sense key ILLEGAL REQUEST.
constexpr std::uint16_t invalid_opcode = 0x2000;
constexpr std::uint16_t invalid_field_in_cdb = 0x2400;
constexpr std::uint16_t unit_not_supported = 0x2500;

constexpr std::uint8_t op_request_sense = 0x03;

constexpr unsigned bit(CommandState state) noexcept { return 1U << static_cast<unsigned>(state); }

constexpr std::array<unsigned, command_states> moves = {
    /* idle       */ bit(CommandState::waiting) | bit(CommandState::fetching) |
        bit(CommandState::held) | bit(CommandState::executing) | bit(CommandState::responding),
    /* waiting    */ bit(CommandState::fetching) | bit(CommandState::held) |
        bit(CommandState::executing) | bit(CommandState::responding) | bit(CommandState::idle),
    /* fetching   */ bit(CommandState::held) | bit(CommandState::executing) |
        bit(CommandState::responding) | bit(CommandState::idle),
    /* held       */ bit(CommandState::executing) | bit(CommandState::responding) |
        bit(CommandState::idle),
    /* executing  */ bit(CommandState::responding) | bit(CommandState::idle),
    /* responding */ bit(CommandState::idle),
};

constexpr bool every_live_state_can_end() {
  for (unsigned state = 1; state < command_states; ++state) {
    if ((moves[state] & bit(CommandState::idle)) == 0) return false;
  }
  return true;
}
static_assert(every_live_state_can_end(), "a closing channel must be able to drop any command");

constexpr std::uint32_t whole_pages(std::uint64_t bytes) noexcept {
  return static_cast<std::uint32_t>((std::max<std::uint64_t>(bytes, 1) + page_bytes - 1) /
                                    page_bytes * page_bytes);
}

constexpr std::uint32_t clamp32(std::uint64_t value) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xffffffff));
}

Residual residual(std::uint64_t offered, std::uint64_t wanted, std::uint64_t moved) noexcept {
  if (moved < offered) return {clamp32(offered - moved), 0};
  return {0, clamp32(wanted > offered ? wanted - offered : 0)};
}

Medium medium_of(const tgt::scsi_lu* lu) noexcept {
  Medium medium;
  if (lu == nullptr) return medium;
  medium.exists = true;
  const auto type = tgt::device_type(*lu);
  medium.block_device = type == tgt::DeviceType::disk || type == tgt::DeviceType::cd;
  medium.block_shift = lu->blk_shift;
  return medium;
}

}  // namespace

const char* name_of(CommandState state) noexcept {
  constexpr const char* names[command_states] = {"idle", "waiting",   "fetching",
                                                 "held", "executing", "responding"};
  return names[static_cast<unsigned>(state)];
}

const TaskSet::Entry::Owner Command::entry_owner = {
    [](TaskSet::Entry& entry) noexcept { static_cast<Command&>(entry).abort(); },
    [](TaskSet::Entry& entry) noexcept { static_cast<Command&>(entry).execute(); },
};

Command::WaiterOf::WaiterOf(Command& c) noexcept
    : Waiter([](Waiter& waiter, const Buffer& buffer) noexcept {
        static_cast<WaiterOf&>(waiter).command.on_memory(buffer);
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

Command::~Command() { SRP_ASSERT(state_ == CommandState::idle); }

void Command::enter(CommandState next) noexcept {
  SRP_ASSERT((moves[static_cast<unsigned>(state_)] & bit(next)) != 0);
  state_ = next;
}

void Command::start(Receive& receive) noexcept {
  receive_ = &receive;
  plan_ = {};
  const CmdFault fault = parse_cmd({receive.iu, receive.bytes}, request_);
  tag = request_.tag;
  lun = decode_lun(request_.lun);
  session_.tasks().insert(*this);
  ++session_.stats().commands;
  if (fault != CmdFault::none) return refuse(static_cast<std::uint16_t>(fault));
  if (const auto sense = make_plan()) return refuse(sense);
  get_memory();
}

std::uint16_t Command::make_plan() noexcept {
  tgt::target* target = tgt::find_target(session_.nexus().tid());
  const tgt::scsi_lu* lu = target ? tgt::find_lu(*target, lun) : nullptr;
  plan_.medium = medium_of(lu);
  const CdbData data = describe_cdb(request_.cdb, plan_.medium);
  const std::uint64_t out_offered = request_.out.bytes;
  const std::uint64_t in_offered = request_.in.bytes;

  plan_.kind = data.kind;
  plan_.out_wanted = data.out_bytes == as_offered ? out_offered : data.out_bytes;
  plan_.in_wanted = data.in_bytes == as_offered ? in_offered : data.in_bytes;
  if (lu == nullptr) {  // tgtd answers for the missing unit: it reads no data, and says little
    plan_.out_wanted = 0;
    plan_.in_wanted = std::min<std::uint64_t>(plan_.in_wanted, allocation_bytes_max);
  }
  const std::uint64_t fetch = std::min(out_offered, plan_.out_wanted);
  std::uint64_t in = std::min(in_offered, plan_.in_wanted);

  switch (data.kind) {
    case CdbKind::unsafe: return invalid_field_in_cdb;
    case CdbKind::medium_write:
      if (fetch < plan_.out_wanted) return static_cast<std::uint16_t>(CmdFault::invalid_field);
      break;
    case CdbKind::medium_read: {
      plan_.zero_in = tgt::bs_name(*lu) == "null";
      // Stores that bypass the page cache read whole blocks or nothing; the rest is cut off.
      const std::uint64_t block = std::uint64_t{1} << lu->blk_shift;
      in = std::min(plan_.in_wanted, (in + block - 1) / block * block);
      break;
    }
    case CdbKind::parameter:
      // tgtd refuses a buffer shorter than the allocation length instead of cutting its answer.
      in = std::max(in, std::min<std::uint64_t>(plan_.in_wanted, allocation_bytes_max));
      shorten_allocation(in);
      plan_.zero_in = true;
      break;
  }
  const std::size_t most = channel_.device().buffers().extent_bytes();
  if (fetch > most || in > most) return invalid_field_in_cdb;
  plan_.fetch_bytes = static_cast<std::uint32_t>(fetch);
  plan_.in_bytes = static_cast<std::uint32_t>(in);
  // Also a direction that moves nothing needs a page that tgtd may touch; where the content matters
  // it is one of our own.
  if (data.kind != CdbKind::medium_read) plan_.out_room = whole_pages(fetch);
  if (data.kind != CdbKind::medium_write) plan_.in_room = whole_pages(in);
  return std::size_t{plan_.out_room} + plan_.in_room > most ? invalid_field_in_cdb : 0;
}

// tgtd refuses an allocation length beyond the buffer: the CDB, which is ours, asks for what there
// is.
void Command::shorten_allocation(std::uint64_t bytes) noexcept {
  if (plan_.in_wanted > bytes) set_allocation_length(cdb(), bytes);
}

std::span<std::uint8_t> Command::cdb() noexcept {
  return {receive_->iu + offsetof(wire::Cmd, cdb), sizeof wire::Cmd::cdb};
}

void Command::get_memory() noexcept {
  BufferPool& pool = channel_.device().buffers();
  const std::size_t bytes = std::size_t{plan_.out_room} + plan_.in_room;
  const Buffer buffer = pool.allocate(bytes);
  if (buffer.data != nullptr) return on_memory(buffer);
  enter(CommandState::waiting);
  pool.wait(waiter_, bytes);
}

void Command::on_memory(const Buffer& buffer) noexcept {
  buffer_ = buffer;
  std::uint8_t* const out = buffer_.data;
  if (plan_.zero_in) std::memset(out + plan_.out_room, 0, plan_.in_room);
  if (plan_.out_room != 0) {
    std::memset(out + plan_.fetch_bytes, 0, plan_.out_room - plan_.fetch_bytes);
  }
  if (plan_.fetch_bytes == 0) return on_fetched();
  enter(CommandState::fetching);
  fetch_.from = {request_.out.descriptors, plan_.fetch_bytes};
  fetch_.to = out;
  fetch_.lkey = buffer_.lkey;
  channel_.fetch(fetch_);
}

void Command::on_read() noexcept {
  if (aborted()) {
    if (fetch_.outstanding == 0) end();
  } else if (fetch_.complete()) {
    on_fetched();
  }
}

void Command::on_fetched() noexcept {
  if (!session_.admit(*this)) return enter(CommandState::held);
  execute();
}

// The one place where a scsi_cmd is filled and handed to tgtd.
void Command::execute() noexcept {
  if (channel_.failed()) return end();  // a dead channel's command must not reach the medium
  tgt::target* target = tgt::find_target(session_.nexus().tid());
  tgt::scsi_lu* lu = target ? tgt::find_lu(*target, lun) : nullptr;
  // The unit may have been deleted, or made anew, since the plan was made.
  if (medium_of(lu) != plan_.medium) return refuse(unit_not_supported);
  if (lu != nullptr) {
    if (const auto sense = screen(*lu)) return refuse(sense);
  }
  fill_scsi();
  enter(CommandState::executing);
  if (lu != nullptr && request_.cdb[0] == tgt::op_persistent_reserve_out) [[unlikely]] {
    tgt::ReservationGuard guard{*lu};
    submit();
    guard.mend();
    return;
  }
  submit();
}

// Sense for a command that tgtd must not see on this unit, 0 for all others.
std::uint16_t Command::screen(tgt::scsi_lu& lu) noexcept {
  // Pass-through commands are not counted by tgtd. Of a tape, records shorter or longer than asked
  // for end with data and CHECK CONDITION both, and their lengths are said in ways that only a tape
  // has.
  if (tgt::is_passthrough(lu) || tgt::device_type(lu) == tgt::DeviceType::tape) {
    return unit_not_supported;
  }
  if (tgt::reservation_crashes(lu, request_.cdb)) return invalid_field_in_cdb;
  return tgt::make_aio_write(lu, cdb()) ? 0 : invalid_opcode;
}

void Command::fill_scsi() noexcept {
  static_cast<tgt::scsi_cmd&>(scsi_) = {};
  std::uint8_t* const scratch = channel_.device().scratch();
  std::uint8_t* const out = plan_.out_room ? buffer_.data : scratch;
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

void Command::submit() noexcept {
  switch (session_.nexus().submit(scsi_)) {
    case tgt::Submitted::accepted:  // on_executed() may have run already: nothing may follow
      return;
    case tgt::Submitted::target_busy:
      session_.tasks().left_tgtd(*this);
      return respond({.status = busy,
                      .out = residual(request_.out.bytes, 0, 0),
                      .in = residual(request_.in.bytes, 0, 0),
                      .sense = {}},
                     0);
    case tgt::Submitted::nexus_gone:
      session_.tasks().left_tgtd(*this);
      channel_.fail("the target is gone");
      return end();
  }
}

void Command::on_executed(int status) noexcept {
  SRP_ASSERT(state_ == CommandState::executing);
  const bool answered = !aborted() && !channel_.failed();
  // The response goes first: a task's answer that tgtd gives inside retire() must not overtake it.
  if (answered) {
    const auto sam = static_cast<std::uint8_t>(status);
    const std::uint32_t filled = filled_in(sam);
    const std::uint32_t in_bytes = clamp32(std::min<std::uint64_t>(filled, request_.in.bytes));
    const CmdResult result = result_of(sam, filled);
    session_.stats().bytes_in += in_bytes;
    session_.stats().bytes_out += plan_.fetch_bytes;
    respond(result, in_bytes);
  }
  session_.nexus().retire(scsi_);
  session_.tasks().left_tgtd(*this);
  if (!answered) end();
}

// Data-in bytes that tgtd has really put into the buffer, whether or not the initiator has room.
std::uint32_t Command::filled_in(std::uint8_t status) noexcept {
  if (status != good && status != condition_met) return 0;  // tgtd leaves the length as it was
  if (request_.cdb[0] != op_request_sense || scsi_.sense_len <= 0) {
    return std::min(scsi_.in_sdb.transfer_len, plan_.in_bytes);
  }
  // For a missing unit tgtd leaves the data alone and puts the answer where sense belongs.
  const std::uint32_t bytes =
      std::min<std::uint32_t>(static_cast<std::uint32_t>(scsi_.sense_len), plan_.in_bytes);
  std::memcpy(buffer_.data + plan_.out_room, scsi_.sense_buffer, bytes);
  return bytes;
}

CmdResult Command::result_of(std::uint8_t status, std::uint32_t filled) noexcept {
  CmdResult result{.status = status, .out = {}, .in = {}, .sense = {}};
  if (status != good && status != condition_met) {
    ++session_.stats().errors;
    result.out = residual(request_.out.bytes, 0, 0);
    result.in = residual(request_.in.bytes, 0, 0);
    if (status == check_condition) {
      const int bytes = std::clamp(scsi_.sense_len, 0, int{tgt::scsi_sense_buffersize});
      result.sense = {scsi_.sense_buffer, static_cast<std::size_t>(bytes)};
    }
    return result;
  }
  // Not tgtd's own count, which says that an UNMAP moved nothing.
  result.out = residual(request_.out.bytes, plan_.out_wanted, plan_.fetch_bytes);
  const std::uint64_t wanted = plan_.kind == CdbKind::medium_read ? plan_.in_wanted : filled;
  result.in =
      residual(request_.in.bytes, wanted, std::min<std::uint64_t>(filled, request_.in.bytes));
  return result;
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
  session_.tasks().left_tgtd(*this);
  ++session_.stats().errors;
  respond({.status = check_condition,
           .out = residual(request_.out.bytes, 0, 0),
           .in = residual(request_.in.bytes, 0, 0),
           .sense = sense},
          0);
}

void Command::respond(const CmdResult& result, std::uint32_t in_bytes) noexcept {
  enter(CommandState::responding);
  channel_.credits().earn();
  reply_.iu = channel_.response_iu(index_);
  reply_.iu_bytes = static_cast<std::uint32_t>(build_rsp(
      {reply_.iu, channel_.sizes().response_bytes}, tag, channel_.credits().announce(), result));
  reply_.to = {request_.in.descriptors, in_bytes};
  reply_.from = buffer_.data + plan_.out_room;
  reply_.lkey = buffer_.lkey;
  channel_.reply(reply_);
}

void Command::on_responded() noexcept {
  SRP_ASSERT(state_ == CommandState::responding);
  end();
}

void Command::abort() noexcept {
  switch (state_) {
    case CommandState::waiting: channel_.device().buffers().leave(waiter_); return end();
    case CommandState::held: return end();
    case CommandState::fetching:
      if (channel_.cancel(fetch_)) end();  // else on_read() ends it
      return;
    case CommandState::idle:
    case CommandState::executing:   // on_executed() ends it without a response
    case CommandState::responding:  // the response is out already, in front of the task's
      return;
  }
}

void Command::drop() noexcept {
  if (state_ == CommandState::idle || state_ == CommandState::executing) return;
  channel_.device().buffers().leave(waiter_);
  fetch_.outstanding = 0;
  end();
}

void Command::end() noexcept {
  if (state_ != CommandState::responding)
    channel_.credits().earn();  // announced by a later response
  enter(CommandState::idle);
  channel_.device().buffers().release(buffer_);
  buffer_ = {};
  channel_.release(*receive_);
  receive_ = nullptr;
  session_.end(*this);
  idle_.push_front(*this);
}

}  // namespace srp
