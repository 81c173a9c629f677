// SRP as bytes: the layouts and codes of ANSI INCITS 365-2002 (SRP r16a), with the immediate data
// of SRP-2 as Linux speaks it. Types only. All have alignment 1, so that they may lie anywhere in
// an IU.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace srp::wire {

// A big-endian integer.
template <std::unsigned_integral T>
class Be {
 public:
  Be() = default;
  constexpr Be(T value) noexcept : bytes_(std::bit_cast<Bytes>(swap(value))) {}
  constexpr operator T() const noexcept { return swap(std::bit_cast<T>(bytes_)); }

 private:
  using Bytes = std::array<std::uint8_t, sizeof(T)>;
  static_assert(std::endian::native == std::endian::little,
                "big-endian hosts: swap is the identity");

  static constexpr T swap(T value) noexcept {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  }

  Bytes bytes_;
};

using Be16 = Be<std::uint16_t>;
using Be32 = Be<std::uint32_t>;
using Be64 = Be<std::uint64_t>;

// A tag: the initiator's own, echoed byte for byte, never swapped, never ordered.
struct Tag {
  std::array<std::uint8_t, 8> bytes;
  bool operator==(const Tag&) const = default;
};

using Lun = std::array<std::uint8_t, 8>;      // SAM logical unit number, as on the wire
using PortId = std::array<std::uint8_t, 16>;  // port identifier: 8 bytes extension, 8 bytes GUID

enum class Opcode : std::uint8_t {
  login_req = 0x00,
  tsk_mgmt = 0x01,
  cmd = 0x02,
  i_logout = 0x03,
  cred_rsp = 0x41,
  aer_rsp = 0x42,
  t_logout = 0x80,
  cred_req = 0x81,
  login_rsp = 0xc0,
  rsp = 0xc1,
  login_rej = 0xc2,
};

enum class BufferFormat : std::uint8_t { none = 0, direct = 1, indirect = 2, immediate = 3 };

// SRP_LOGIN_REQ and SRP_LOGIN_RSP, buffer formats.
inline constexpr std::uint16_t format_direct = 0x0002;
inline constexpr std::uint16_t format_indirect = 0x0004;

// SRP_LOGIN_REQ, flags: the low two bits are the multi-channel action; solicited notification of
// logouts, credit requests and asynchronous events; immediate data (SRP-2).
inline constexpr std::uint8_t action_mask = 0x03;
inline constexpr std::uint8_t solicited_mask = 0x70;
inline constexpr std::uint8_t solicited_t_logout = 0x10;
inline constexpr std::uint8_t solicited_cred_req = 0x20;
inline constexpr std::uint8_t immediate_requested = 0x80;
enum class MultiChannelAction : std::uint8_t { single = 0, multi = 1 };

// SRP_LOGIN_RSP, flags: the low two bits are the multi-channel result.
inline constexpr std::uint8_t solicited_supported = 0x10;
inline constexpr std::uint8_t immediate_supported = 0x80;
enum class MultiChannelResult : std::uint8_t { no_channel = 0, terminated = 1, maintained = 2 };

// SRP_LOGIN_REJ, reasons.
enum class LoginRejReason : std::uint32_t {
  unspecified = 0x00010000,
  insufficient_resources = 0x00010001,
  iu_too_large = 0x00010002,
  unable_to_associate = 0x00010003,
  unsupported_format = 0x00010004,
  multi_channel_unsupported = 0x00010005,
  channel_limit_reached = 0x00010006,
};

enum class TaskFunction : std::uint8_t {
  abort_task = 0x01,
  abort_task_set = 0x02,
  clear_task_set = 0x04,
  lun_reset = 0x08,
  clear_aca = 0x40,
};

// SRP_CMD, TASK ATTRIBUTE.
enum class TaskAttribute : std::uint8_t { simple = 0, head_of_queue = 1, ordered = 2, aca = 4 };

// SRP_CMD and SRP_TSK_MGMT, SOLNT: the response is to raise a solicited event if the request
// succeeds, if it does not. In what a target sends, bit 0: it does.
inline constexpr std::uint8_t solicited_on_success = 0x02;
inline constexpr std::uint8_t solicited_on_failure = 0x04;
inline constexpr std::uint8_t solicited = 0x01;

// SRP_T_LOGOUT, reasons.
enum class LogoutReason : std::uint32_t {
  none = 0,
  invalid_iu_type = 2,
  multi_channel_action = 4,
  invalid_iu_length = 8,
};

// SRP_RSP, response data, RSP_CODE.
enum class RspCode : std::uint8_t {
  complete = 0x00,
  fields_invalid = 0x02,
  unsupported = 0x04,
  failed = 0x05,
};

// SRP_RSP, flags.
inline constexpr std::uint8_t rsp_valid = 0x01;
inline constexpr std::uint8_t sense_valid = 0x02;
inline constexpr std::uint8_t out_over = 0x04;
inline constexpr std::uint8_t out_under = 0x08;
inline constexpr std::uint8_t in_over = 0x10;
inline constexpr std::uint8_t in_under = 0x20;

// SRP_LOGIN_REQ as the standard has it, in a connection request of InfiniBand's own CM.
struct LoginReq {
  std::uint8_t opcode;
  std::uint8_t reserved1[7];
  Tag tag;
  Be32 max_iu_bytes;  // REQUESTED MAXIMUM INITIATOR TO TARGET IU LENGTH
  std::uint8_t reserved2[4];
  Be16 required_formats;
  std::uint8_t flags;
  std::uint8_t reserved3;
  Be16 immediate_offset;  // SRP-2
  std::uint8_t reserved4[2];
  PortId initiator_port;
  PortId target_port;
};
static_assert(sizeof(LoginReq) == 64 && alignof(LoginReq) == 1);

// The same as it travels in an RDMA/CM connection request, where 56 bytes are left for it
// (Linux, struct srp_login_req_rdma).
struct LoginReqRdma {
  Tag tag;
  Be16 required_formats;
  std::uint8_t flags;
  std::uint8_t opcode;
  Be32 max_iu_bytes;
  PortId initiator_port;
  PortId target_port;
  Be16 immediate_offset;
  std::uint8_t reserved[6];
};
static_assert(sizeof(LoginReqRdma) == 56 && alignof(LoginReqRdma) == 1);

struct LoginRsp {
  std::uint8_t opcode;
  std::uint8_t reserved1[3];
  Be32 request_limit_delta;
  Tag tag;
  Be32 max_iu_bytes;         // MAXIMUM INITIATOR TO TARGET IU LENGTH
  Be32 max_target_iu_bytes;  // MAXIMUM TARGET TO INITIATOR IU LENGTH
  Be16 supported_formats;
  std::uint8_t flags;
  std::uint8_t reserved2[25];
};
static_assert(sizeof(LoginRsp) == 52 && alignof(LoginRsp) == 1);

struct LoginRej {
  std::uint8_t opcode;
  std::uint8_t reserved1[3];
  Be32 reason;
  Tag tag;
  std::uint8_t reserved2[8];
  Be16 supported_formats;
  std::uint8_t reserved3[6];
};
static_assert(sizeof(LoginRej) == 32);

// A memory descriptor: a range of the initiator's memory.
struct MemoryDesc {
  Be64 address;
  Be32 key;
  Be32 bytes;
};
static_assert(sizeof(MemoryDesc) == 16 && alignof(MemoryDesc) == 1);

// Head of an indirect buffer descriptor; descriptors of its table follow in the IU.
struct IndirectDesc {
  MemoryDesc table;  // where the whole table lies at the initiator, and its bytes
  Be32 total_bytes;  // data described by the whole table
};
static_assert(sizeof(IndirectDesc) == 20);

// Immediate data: what the descriptor's place holds; the data lies at the offset agreed at login.
struct ImmediateDesc {
  Be32 bytes;
};
static_assert(sizeof(ImmediateDesc) == 4);

struct Cmd {
  std::uint8_t opcode;
  std::uint8_t solnt;
  std::uint8_t reserved1[3];
  std::uint8_t buffer_formats;  // data-out in the high nibble, data-in in the low one
  std::uint8_t out_count;       // descriptors in the IU, indirect formats only
  std::uint8_t in_count;
  Tag tag;
  std::uint8_t reserved2[4];
  Lun lun;
  std::uint8_t reserved3;
  std::uint8_t task_attribute;  // low 3 bits
  std::uint8_t reserved4;
  std::uint8_t additional_cdb;  // bits 7..2: additional CDB bytes, in units of 4
  std::uint8_t cdb[16];
};
static_assert(sizeof(Cmd) == 48 && offsetof(Cmd, tag) == 8 && offsetof(Cmd, lun) == 20 &&
              offsetof(Cmd, cdb) == 32);

struct TskMgmt {
  std::uint8_t opcode;
  std::uint8_t solnt;
  std::uint8_t reserved1[6];
  Tag tag;
  std::uint8_t reserved2[4];
  Lun lun;
  std::uint8_t reserved3[2];
  std::uint8_t function;
  std::uint8_t reserved4;
  Tag task_tag;  // TAG OF TASK TO BE MANAGED
  std::uint8_t reserved5[8];
};
static_assert(sizeof(TskMgmt) == 48 && offsetof(TskMgmt, task_tag) == 32);

struct Rsp {
  std::uint8_t opcode;
  std::uint8_t solnt;
  std::uint8_t reserved1[2];
  Be32 request_limit_delta;
  Tag tag;
  std::uint8_t reserved2[2];
  std::uint8_t flags;
  std::uint8_t status;
  Be32 out_residual;
  Be32 in_residual;
  Be32 sense_bytes;
  Be32 response_data_bytes;
};
static_assert(sizeof(Rsp) == 36 && offsetof(Rsp, flags) == 18);

struct TLogout {
  std::uint8_t opcode;
  std::uint8_t solnt;
  std::uint8_t reserved[2];
  Be32 reason;
  Tag tag;
};
static_assert(sizeof(TLogout) == 16);

struct CredReq {
  std::uint8_t opcode;
  std::uint8_t solnt;
  std::uint8_t reserved[2];
  Be32 request_limit_delta;
  Tag tag;
};
static_assert(sizeof(CredReq) == 16);

inline constexpr std::size_t response_data_bytes = 4;  // RSP_CODE in the last of them
inline constexpr std::size_t task_rsp_bytes = sizeof(Rsp) + response_data_bytes;

}  // namespace srp::wire
