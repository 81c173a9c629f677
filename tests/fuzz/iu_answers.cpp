// What a target sends, read with the offsets of the standard.
#include <algorithm>

#include "tests/fuzz/iu_checks.h"

namespace srp::fuzz {

namespace {

void check_zero(View iu, std::size_t from, std::size_t end) {
  for (std::size_t at = from; at < end; ++at) require(iu[at] == 0, "a reserved field is set");
}

// room: of the buffer that it was written to.
void check_response(View iu, std::size_t room, const RspHead& head) {
  require(iu.size() >= 36 && iu.size() <= room, "a response of an impossible length");
  require(iu[0] == 0xc1 && number_at(iu, 4, 4) == head.delta, "a response's head");
  require(iu[1] == (head.solicited ? 1 : 0), "a response's solicited bit");
  require(std::ranges::equal(head.tag.bytes, iu.subspan(8, 8)), "a response's tag");
  check_zero(iu, 2, 4);
  check_zero(iu, 16, 18);
  const std::uint8_t flags = iu[18];
  require((flags & 0xc0) == 0 && (flags & 0x0c) != 0x0c && (flags & 0x30) != 0x30, "its flags");
  const std::uint64_t sense = number_at(iu, 28, 4);
  const std::uint64_t data = number_at(iu, 32, 4);
  require(iu.size() == 36 + sense + data, "a response's lengths");
  require(((flags & 1) != 0) == (data != 0) && ((flags & 2) != 0) == (sense != 0), "its parts");
  require(((flags & 0x0c) != 0) == (number_at(iu, 20, 4) != 0), "a residual and its flag");
  require(((flags & 0x30) != 0) == (number_at(iu, 24, 4) != 0), "a residual and its flag");
}

void check_command_response(std::span<std::uint8_t> room, const RspHead& head,
                            const CmdResult& result) {
  const std::size_t bytes = build_rsp(room, head, result);
  require(bytes <= room.size(), "a response longer than its room");
  const View iu = room.first(bytes);
  check_response(iu, room.size(), head);
  const std::size_t kept = std::min(result.sense.size(), room.size() - 36);
  require(bytes == 36 + kept && std::ranges::equal(result.sense.first(kept), iu.subspan(36)),
          "sense was changed");
  require(iu[19] == result.status, "a response's status");
  require(((iu[18] & 0x04) != 0) == (result.out.over != 0) &&
              ((iu[18] & 0x08) != 0) == (result.out.under != 0) &&
              ((iu[18] & 0x10) != 0) == (result.in.over != 0) &&
              ((iu[18] & 0x20) != 0) == (result.in.under != 0),
          "a residual that says less for more");
  require(number_at(iu, 20, 4) == std::max(result.out.over, result.out.under) &&
              number_at(iu, 24, 4) == std::max(result.in.over, result.in.under),
          "a residual is another number");
}

void check_task_response(std::span<std::uint8_t> room, const RspHead& head, std::uint8_t code) {
  const std::size_t bytes = build_task_rsp(room, head, static_cast<wire::RspCode>(code));
  require(bytes == 40, "the answer to a task has another length");
  const View iu = room.first(bytes);
  check_response(iu, room.size(), head);
  require(number_at(iu, 36, 4) == code && iu[18] == 1 && iu[19] == 0, "the answer to a task");
}

// SRP_T_LOGOUT and SRP_CRED_REQ: an opcode, a number, and a tag that nobody answers by.
void check_number_of(View iu, std::uint8_t opcode, std::uint32_t number) {
  require(iu.size() == 16 && iu[0] == opcode && number_at(iu, 4, 4) == number,
          "what a target says of itself");
  check_zero(iu, 1, 4);
  check_zero(iu, 8, 16);
}

// SOLNT of a request: bit 1 asks for a solicited event on success, bit 2 on failure.
void check_wish(std::uint8_t solnt) {
  require(wants_solicited(solnt, true) == ((solnt & 2) != 0) &&
              wants_solicited(solnt, false) == ((solnt & 4) != 0),
          "a solicited event that nobody asked for, or that somebody did");
}

}  // namespace

void check_answers(View input) {
  fake::Random dice{input};
  RspHead head{};
  for (auto& byte : head.tag.bytes) byte = dice.byte();
  const auto number = [&] { return static_cast<std::uint32_t>(dice.next() >> dice.below(64)); };
  Bytes sense(dice.below(253));
  for (auto& byte : sense) byte = dice.noise();
  CmdResult result;
  result.status = dice.byte();
  (dice.chance(0.5) ? result.out.under : result.out.over) = number();
  (dice.chance(0.5) ? result.in.under : result.in.over) = number();
  result.sense = sense;
  head.delta = number();
  Bytes room(dice.between(wire::task_rsp_bytes, 320), 0xee);
  const std::uint8_t code = dice.byte();
  const std::uint8_t solnt = dice.byte();
  check_wish(solnt);
  head.solicited = wants_solicited(solnt, dice.chance(0.5));
  check_command_response(room, head, result);
  check_task_response(room, head, code);
  const std::uint32_t said = number();
  check_number_of(bytes_of(build_t_logout(static_cast<wire::LogoutReason>(said))), 0x80, said);
  check_number_of(bytes_of(build_cred_req(said)), 0x81, said);
}

}  // namespace srp::fuzz
