// Information units: bytes to values, values to bytes. Pure functions over spans, bounded by what
// arrived; the only place that reads what an initiator wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lld_srp/wire.h"

namespace srp {

using Iu = std::span<const std::uint8_t>;  // an IU as received: its length is the message's

// One direction of a command's data, as the initiator offers it.
struct DataBuffer {
  std::uint64_t bytes = 0;  // expected transfer length
  // In the IU. Their sum is at least `bytes`, unless they are only the first of a table.
  std::span<const wire::MemoryDesc> descriptors;
  wire::MemoryDesc table{};              // the initiator's copy of the whole table ...
  std::uint32_t table_count = 0;         // ... and its descriptors; 0: there is no table elsewhere
  std::span<const std::uint8_t> inside;  // immediate data, in the IU

  [[nodiscard]] bool incomplete() const noexcept { return descriptors.size() < table_count; }
};

// Do descriptors stand for `bytes` bytes at least?
bool covers(std::span<const wire::MemoryDesc> descriptors, std::uint64_t bytes) noexcept;

// SRP_CMD. Views point into the IU and live as long as it.
struct CmdRequest {
  wire::Tag tag;
  wire::Lun lun;
  wire::TaskAttribute attribute;
  std::uint8_t solnt;
  std::span<const std::uint8_t> cdb;  // 16 bytes, and the additional ones
  DataBuffer out;                     // initiator to target
  DataBuffer in;                      // target to initiator
};

// SRP_TSK_MGMT.
struct TaskRequest {
  wire::Tag tag;
  wire::Lun lun;
  std::uint8_t solnt;
  wire::TaskFunction function;
  wire::Tag task_tag;
};

// Additional sense codes of ILLEGAL REQUEST for an SRP_CMD that cannot be served (SPC: INVALID
// INFORMATION UNIT). Linux ignores SRP's own response codes for commands, so sense says it.
enum class CmdFault : std::uint16_t {
  none = 0,
  too_short = 0x0e01,
  invalid_field = 0x0e03,
};

// The opcode of an IU if the IU is one that an initiator may send on a channel and is long enough
// for it; nothing otherwise: the channel cannot go on, since nothing in such an IU can be answered.
std::optional<wire::Opcode> classify(Iu iu) noexcept;
// Is this an opcode that an initiator may send on a channel?
bool may_be_sent(wire::Opcode opcode) noexcept;

// Precondition: classify() said cmd. immediate_offset: as granted at login, 0 where it was not.
// Tag, LUN, SOLNT, attribute and the first 16 CDB bytes are set also where a fault is returned.
[[nodiscard]] CmdFault parse_cmd(Iu iu, std::size_t immediate_offset, CmdRequest& request) noexcept;

// Tag and unit of an SRP_CMD. Precondition: classify() said cmd.
struct CmdAddress {
  wire::Tag tag;
  wire::Lun lun;
};
CmdAddress address_of_cmd(Iu iu) noexcept;

// Precondition: classify() said tsk_mgmt.
TaskRequest parse_task(Iu iu) noexcept;

// The layouts that SRP_LOGIN_REQ comes in. Its bytes do not tell which: how it was sent does.
enum class LoginForm : std::uint8_t {
  rdma_cm,  // 56 bytes, wire::LoginReqRdma
  ib_cm,    // 64 bytes, wire::LoginReq
};

// SRP_LOGIN_REQ, in either form.
struct LoginRequest {
  wire::Tag tag;
  std::uint16_t required_formats;
  wire::MultiChannelAction action;
  std::uint32_t max_iu_bytes;
  wire::PortId initiator_port;
  wire::PortId target_port;
  bool solicited;  // it asks for solicited notification of some of our IUs, among them perhaps
  bool solicited_logout;
  bool solicited_credits;  // SRP_CRED_REQ
  bool immediate;  // it asks for immediate data, at this offset from the start of an SRP_CMD
  std::uint16_t immediate_offset;
};

struct LoginFault {
  wire::LoginRejReason reason;
  const char* text;  // what is wrong, for the log
};

// What is wrong with the request by itself, or nothing. request.tag is set whenever private_data
// holds one. Shorter data than the form has is refused, longer data is cut (InfiniBand pads).
[[nodiscard]] std::optional<LoginFault> parse_login(Iu private_data, LoginForm form,
                                                    LoginRequest& request) noexcept;

wire::LoginRej build_login_rej(const wire::Tag& tag, wire::LoginRejReason reason) noexcept;

struct LoginAnswer {
  std::uint32_t request_limit;
  std::uint32_t max_iu_bytes;
  std::uint32_t max_target_iu_bytes;
  wire::MultiChannelResult result;
  bool solicited;  // SOLNT is honoured
  bool immediate;  // granted
};
wire::LoginRsp build_login_rsp(const wire::Tag& tag, const LoginAnswer& answer) noexcept;

// What one direction moved against what was offered.
struct Residual {
  std::uint32_t under = 0;  // offered and not moved
  std::uint32_t over = 0;   // wanted by the CDB and not offered
};

struct CmdResult {
  std::uint8_t status = 0;  // SAM
  Residual out;
  Residual in;
  std::span<const std::uint8_t> sense;  // cut to fit
};

// What the head of a response says beside its result.
struct RspHead {
  wire::Tag tag;            // of the request
  std::uint32_t delta = 0;  // REQUEST LIMIT DELTA
  bool solicited = false;   // it is sent with a solicited event
};

// Is the response to a request with this SOLNT byte to raise a solicited event?
constexpr bool wants_solicited(std::uint8_t solnt, bool success) noexcept {
  return (solnt & (success ? wire::solicited_on_success : wire::solicited_on_failure)) != 0;
}

// Writes SRP_RSP into iu, which has room for wire::task_rsp_bytes at least; bytes written.
std::size_t build_rsp(std::span<std::uint8_t> iu, const RspHead& head,
                      const CmdResult& result) noexcept;
std::size_t build_task_rsp(std::span<std::uint8_t> iu, const RspHead& head,
                           wire::RspCode code) noexcept;

// What a target says of itself; never before the initiator has sent something.
wire::TLogout build_t_logout(wire::LogoutReason reason) noexcept;
wire::CredReq build_cred_req(std::uint32_t delta) noexcept;

}  // namespace srp
