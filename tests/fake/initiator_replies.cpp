// How an initiator judges what the target sends; see initiator.h.
#include <algorithm>
#include <cstring>

#include "tests/fake/initiator.h"
#include "tests/fake/scsi.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::fake {

namespace {

unsigned long long wide(std::uint64_t number) { return number; }

// Residuals agree with their flags.
struct Residuals {
  std::uint32_t out_over, out_under, in_over, in_under;
};

Residuals residuals_of(const SentCommand& command, const wire::Rsp& rsp) {
  const std::uint32_t out = rsp.out_residual;
  const std::uint32_t in = rsp.in_residual;
  const auto value = [&](std::uint8_t flag, std::uint32_t residual) -> std::uint32_t {
    return (rsp.flags & flag) != 0 ? residual : 0;
  };
  if ((rsp.flags & (wire::out_over | wire::out_under)) == 0 && out != 0) {
    fail("tag %llx: data-out residual %u without a flag", wide(command.tag), out);
  }
  if ((rsp.flags & (wire::in_over | wire::in_under)) == 0 && in != 0) {
    fail("tag %llx: data-in residual %u without a flag", wide(command.tag), in);
  }
  return {value(wire::out_over, out), value(wire::out_under, out), value(wire::in_over, in),
          value(wire::in_under, in)};
}

// The first `moved` bytes of the pieces; fails if anything beyond them was written.
Bytes data_in(const SentCommand& command, std::size_t moved) {
  Bytes data;
  std::vector<bool> written(command.memory.size());
  for (const Piece& piece : command.pieces) {
    const std::size_t part = std::min<std::size_t>(piece.bytes, moved - data.size());
    const auto from = command.memory.begin() + static_cast<std::ptrdiff_t>(piece.offset);
    data.insert(data.end(), from, from + static_cast<std::ptrdiff_t>(part));
    std::fill_n(written.begin() + static_cast<std::ptrdiff_t>(piece.offset), part, true);
  }
  if (data.size() != moved) fail("tag %llx: more moved than there is room", wide(command.tag));
  for (std::size_t i = 0; i < command.memory.size(); ++i) {
    if (!command.data_out && !written[i] && command.memory[i] != untouched(i)) {
      fail("tag %llx: memory beyond the data that it owns was written, at %zu", wide(command.tag),
           i);
    }
  }
  return data;
}

void judge_read(const SentCommand& command, const Residuals& residuals, const Site& site) {
  const std::uint32_t moved = std::min(command.offered, command.wanted);
  const std::uint32_t under = command.offered - moved;
  const std::uint32_t over = command.wanted - moved;
  if (residuals.in_under != under || residuals.in_over != over || residuals.out_over != 0 ||
      residuals.out_under != 0) {
    fail("tag %llx: read of %u into %u bytes, residuals -%u +%u", wide(command.tag), command.wanted,
         command.offered, residuals.in_under, residuals.in_over);
  }
  const Bytes data = data_in(command, moved);
  if (site.null_luns.contains(command.unit.lun)) {
    if (std::ranges::any_of(data, [](std::uint8_t byte) { return byte != 0; })) {
      fail("tag %llx: a store that moves nothing reads as somebody's data", wide(command.tag));
    }
    return;
  }
  the_world().tgtd->ledger.check_read(command.unit, command.lba,
                                      {data.data(), data.size() / block_bytes * block_bytes},
                                      command.since);
}

void judge_write(const SentCommand& command, const Residuals& residuals, const Site& site) {
  const auto bytes = static_cast<std::uint32_t>(command.blocks * block_bytes);
  if (residuals.out_under != command.offered - bytes || residuals.out_over != 0) {
    fail("tag %llx: write of %u from %u bytes, residuals -%u +%u", wide(command.tag), bytes,
         command.offered, residuals.out_under, residuals.out_over);
  }
  Ledger& ledger = the_world().tgtd->ledger;
  if (site.null_luns.contains(command.unit.lun)) return;
  if (ledger.write(command.number).commits != 1) {
    fail("tag %llx: write %llu is GOOD and was not executed", wide(command.tag),
         wide(command.number));
  }
}

// Parameter data: the beginning of what the device server said, then zeroes.
void judge_parameters(const SentCommand& command, const Residuals& residuals, const Site& site) {
  if (residuals.in_under > command.offered)
    fail("tag %llx: residual %u", wide(command.tag), residuals.in_under);
  const Bytes data = data_in(command, command.data_out ? 0 : command.offered - residuals.in_under);
  Bytes expected;
  if (command.kind == CommandKind::inquiry) {
    const bool known = site.luns.contains(command.unit.lun);
    expected = inquiry_data(known ? command.unit : Unit{}, known);
    if (site.disturbed) return;
    expected.resize(std::min<std::size_t>(expected.size(), command.wanted));
    if (data.size() < std::min<std::size_t>(expected.size(), command.offered)) {
      fail("tag %llx: INQUIRY of %zu bytes", wide(command.tag), data.size());
    }
  } else if (command.kind != CommandKind::test_unit_ready &&
             command.kind != CommandKind::synchronize) {
    return;
  }
  expected.resize(std::max(expected.size(), data.size()));
  if (!std::equal(data.begin(), data.end(), expected.begin())) {
    fail("tag %llx: data-in of command %02x is not the device server's", wide(command.tag),
         command.cdb[0]);
  }
}

void judge_good(const SentCommand& command, const wire::Rsp& rsp, const Site& site) {
  const Residuals residuals = residuals_of(command, rsp);
  if ((rsp.flags & wire::sense_valid) != 0) fail("tag %llx: sense with GOOD", wide(command.tag));
  switch (command.demand) {
    case Demand::by_kind: break;
    case Demand::refused_or_over:
      if (residuals.in_over == 0) fail("tag %llx: GOOD without an overflow", wide(command.tag));
      (void)data_in(command, 0);
      return;
    default: fail("tag %llx: a command that must be refused is GOOD", wide(command.tag));
  }
  if (command.kind == CommandKind::read) return judge_read(command, residuals, site);
  if (command.kind == CommandKind::write) return judge_write(command, residuals, site);
  if (command.kind == CommandKind::unmap) {
    if (residuals.out_under != 0) fail("tag %llx: UNMAP with a residual", wide(command.tag));
    return;
  }
  judge_parameters(command, residuals, site);
}

bool possible_sense(const SentCommand& command, std::uint8_t key, unsigned code, const Site& site) {
  if (command.demand == Demand::too_short && code == 0x0e01) return key == 5;
  if (command.demand == Demand::invalid_field && code == 0x0e03) return key == 5;
  if ((command.demand == Demand::refused || command.demand == Demand::refused_or_over) &&
      key == 5) {
    return true;
  }
  if (key == 3 && command.demand == Demand::refused_or_over) {
    return the_world().faults.ever(Fault::store_error);
  }
  if (key == 6)
    return command.demand == Demand::by_kind || command.demand == Demand::refused_or_over;
  if (command.demand != Demand::by_kind) return site.disturbed;
  if (key == 3) return the_world().faults.ever(Fault::store_error);
  if (key != 5) return false;
  if (site.disturbed) return true;
  const bool known = site.luns.contains(command.unit.lun);
  if (!known) return code == 0x2500;
  // LUN 0 has no medium, and tgtd wants room for what it writes.
  return command.unit.lun == 0 && code == 0x2000;
}

void judge_refused(const SentCommand& command, const wire::Rsp& rsp,
                   std::span<const std::uint8_t> sense, const Site& site) {
  if ((rsp.flags & wire::sense_valid) == 0 || sense.size() < 14) {
    fail("tag %llx: CHECK CONDITION with %zu bytes of sense", wide(command.tag), sense.size());
  }
  const auto key = static_cast<std::uint8_t>(sense[2] & 0x0f);
  const unsigned code = static_cast<unsigned>(sense[12]) << 8 | sense[13];
  if (!possible_sense(command, key, code, site)) {
    fail("tag %llx: command %02x to LUN %llu, offered %u, ends with sense %x/%04x",
         wide(command.tag), command.cdb[0], wide(command.unit.lun), command.offered, key, code);
  }
}

// Of a command whose meaning nobody knows.
void judge_form(const SentCommand& command, const wire::Rsp& rsp,
                std::span<const std::uint8_t> sense) {
  (void)residuals_of(command, rsp);
  const bool refused = rsp.status == sam_check_condition;
  if (refused != (sense.size() >= 14) || refused != ((rsp.flags & wire::sense_valid) != 0)) {
    fail("tag %llx: status %02x with %zu bytes of sense", wide(command.tag), rsp.status,
         sense.size());
  }
}

}  // namespace

void judge(const SentCommand& command, const wire::Rsp& rsp, std::span<const std::uint8_t> sense,
           const Site& site) {
  constexpr std::uint8_t busy = 0x08;
  if (command.demand == Demand::anything) return judge_form(command, rsp, sense);
  if (command.demand == Demand::cut)
    fail("tag %llx: an answer, and not the end", wide(command.tag));
  if (rsp.status == sam_good) {
    judge_good(command, rsp, site);
  } else {
    const Residuals residuals = residuals_of(command, rsp);
    (void)data_in(command, 0);
    if (!command.data_out && residuals.in_under != command.offered &&
        command.demand == Demand::by_kind) {
      fail("tag %llx: status %02x with data-in residual %u of %u", wide(command.tag), rsp.status,
           residuals.in_under, command.offered);
    }
    if (rsp.status == sam_check_condition) {
      judge_refused(command, rsp, sense, site);
    } else if (rsp.status != busy || !site.disturbed) {
      fail("tag %llx: status %02x", wide(command.tag), rsp.status);
    }
    if (command.number != 0 && the_world().tgtd->ledger.write(command.number).commits != 0) {
      fail("tag %llx: write %llu failed and was executed", wide(command.tag), wide(command.number));
    }
  }
}

// ---- dispatch ----

// Credits that no response brings.
void InitiatorChannel::on_cred_req(std::span<const std::uint8_t> iu) {
  wire::CredReq request;
  if (iu.size() != sizeof request) fail("SRP_CRED_REQ of %zu bytes", iu.size());
  std::memcpy(&request, iu.data(), sizeof request);
  take_credits(request.request_limit_delta);
}

void InitiatorChannel::take_credits(std::uint32_t delta) {
  credits += static_cast<std::int32_t>(delta);
  if (static_cast<std::int32_t>(delta) < 0 || credits > limit) {
    fail("%d credits more, now %lld of %lld", static_cast<std::int32_t>(delta),
         static_cast<long long>(credits), static_cast<long long>(limit));
  }
}

void InitiatorChannel::on_iu(std::span<const std::uint8_t> iu) {
  if (left) fail("an IU after SRP_T_LOGOUT");
  if (iu.size() == sizeof(wire::TLogout) && owner.host.t_logout &&
      iu[0] == static_cast<std::uint8_t>(wire::Opcode::t_logout)) {
    left = true;
    return;
  }
  if (!iu.empty() && iu[0] == static_cast<std::uint8_t>(wire::Opcode::cred_req)) {
    return on_cred_req(iu);
  }
  wire::Rsp rsp;
  if (iu.size() < sizeof rsp || iu[0] != static_cast<std::uint8_t>(wire::Opcode::rsp)) {
    fail("an IU of %zu bytes, opcode %02x, which no initiator wants", iu.size(),
         iu.empty() ? 0 : iu[0]);
  }
  std::memcpy(&rsp, iu.data(), sizeof rsp);
  const std::uint32_t data_bytes = rsp.response_data_bytes;
  const std::uint32_t sense_bytes = rsp.sense_bytes;
  if (iu.size() > response_bytes_max || iu.size() != sizeof rsp + data_bytes + sense_bytes) {
    fail("response: %zu bytes, with %u of data and %u of sense", iu.size(), data_bytes,
         sense_bytes);
  }
  take_credits(rsp.request_limit_delta);
  std::uint64_t tag = 0;
  std::memcpy(&tag, rsp.tag.bytes.data(), sizeof tag);
  ++answers;
  if (const auto task = tasks.find(tag); task != tasks.end()) {
    if ((rsp.flags & wire::rsp_valid) == 0 || data_bytes != 4)
      fail("task %llx: no response data", wide(tag));
    const SentTask answered = std::move(task->second);
    tasks.erase(task);
    return on_task_reply(answered, rsp, iu.subspan(sizeof rsp, data_bytes));
  }
  const auto command = commands.find(tag);
  if (command == commands.end()) {
    fail("initiator %u channel %u: a response with tag %llx, for which nobody waits", owner.number,
         number, wide(tag));
  }
  on_command_reply(command->second, rsp, iu.subspan(sizeof rsp + data_bytes, sense_bytes));
}

namespace {

void check_solicited(std::uint8_t solnt, const wire::Rsp& rsp, bool success) {
  const bool wanted =
      (solnt & (success ? wire::solicited_on_success : wire::solicited_on_failure)) != 0;
  if (rsp.solnt != (wanted ? wire::solicited : 0)) {
    fail("response: SOLNT %02x, the request had %02x", rsp.solnt, solnt);
  }
}

}  // namespace

void InitiatorChannel::on_command_reply(SentCommand& command, const wire::Rsp& rsp,
                                        std::span<const std::uint8_t> sense) {
  trace("initiator %u channel %u: tag %llx ends with status %02x", owner.number, number,
        wide(command.tag), rsp.status);
  if ((rsp.flags & wire::rsp_valid) != 0)
    fail("tag %llx: response data for a command", wide(command.tag));
  last_status = rsp.status;
  check_solicited(command.solnt, rsp, rsp.status == sam_good);
  judge(command, rsp, sense, site);
  Ledger& ledger = the_world().tgtd->ledger;
  ledger.close(command.number, "it was answered");
  const bool worked = command.kind == CommandKind::read || command.kind == CommandKind::write;
  if (worked && rsp.status == sam_good && command.demand == Demand::by_kind) {
    // What the initiator has seen of the unit must not be undone by its own older writes.
    ledger.fence(command.unit, static_cast<int>(owner.number), command.since);
  }
  forget(command.tag, "it was answered");
}

void InitiatorChannel::on_task_reply(const SentTask& task, const wire::Rsp& rsp,
                                     std::span<const std::uint8_t> data) {
  const auto code = static_cast<wire::RspCode>(data[3]);
  trace("initiator %u channel %u: task %llx ends with code %u", owner.number, number,
        wide(task.tag), data[3]);
  last_code = data[3];
  check_solicited(task.solnt, rsp, code == wire::RspCode::complete);
  if (rsp.status != sam_good) fail("task %llx: status %02x", wide(task.tag), rsp.status);
  if (task.wild) {
    if (code != wire::RspCode::complete && code != wire::RspCode::fields_invalid &&
        code != wire::RspCode::unsupported && code != wire::RspCode::failed) {
      fail("task %llx: code %u", wide(task.tag), data[3]);
    }
    return;
  }
  if (!task.known_function) {
    if (code != wire::RspCode::unsupported)
      fail("task %llx: code %u for a function nobody has", wide(task.tag), data[3]);
    return;
  }
  const bool unit_known = site.luns.contains(task.unit.lun);
  const bool reset = task.function != wire::TaskFunction::abort_task;
  if (reset && !unit_known && code == wire::RspCode::complete)
    fail("a unit that is not there is reset");
  if (code == wire::RspCode::unsupported) fail("task %llx: function not supported", wide(task.tag));
  const bool complete = code == wire::RspCode::complete;
  // A command that another channel sent in the meantime may have been looked at first.
  if (reset) owner.doubt(site, task.unit, this);
  for (const auto& [channel_number, tag] : task.covered) {
    InitiatorChannel* channel = owner.channel(channel_number);
    if (channel == nullptr) continue;
    const auto found = channel->commands.find(tag);
    if (found == channel->commands.end()) continue;
    // Linux takes every answer to an abort as its end, whatever the code.
    if (complete) the_world().tgtd->ledger.close(found->second.number, "its abort was answered");
    if (complete || !reset) {
      channel->forget(tag, "its abort was answered");
    } else {
      found->second.optional = true;
    }
  }
}

}  // namespace srp::fake
