// SRP information units, written and read independently of any target's sources. Layouts: SRP r16a,
// clause 6, with the immediate data of SRP-2; the RDMA/CM form of the login request is Linux's.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "bytes.h"

namespace conformance {

namespace opcode {
inline constexpr std::uint8_t login_req = 0x00, tsk_mgmt = 0x01, cmd = 0x02, i_logout = 0x03,
                              cred_rsp = 0x41, aer_rsp = 0x42, t_logout = 0x80, cred_req = 0x81,
                              aer_req = 0x82, login_rsp = 0xc0, rsp = 0xc1, login_rej = 0xc2;
}  // namespace opcode

// Carried as they stand in memory; a target may only compare and return them.
using Tag = std::uint64_t;

// ---- login ----

struct PortId {
  std::uint64_t extension;
  std::uint64_t guid;
};

namespace login {
inline constexpr std::uint8_t single = 0, multi = 1, solicited_notification = 0x70,
                              immediate_requested = 0x80;
inline constexpr std::uint16_t direct = 0x0002, indirect = 0x0004;
inline constexpr std::uint8_t result_mask = 0x03, result_none = 0, result_terminated = 1,
                              result_maintained = 2, solicited_supported = 0x10,
                              immediate_supported = 0x80;
inline constexpr std::uint32_t no_reason = 0x00010000, no_resources = 0x00010001,
                               iu_too_large = 0x00010002, cannot_associate = 0x00010003,
                               unsupported_format = 0x00010004, no_multichannel = 0x00010005,
                               channel_limit = 0x00010006;
}  // namespace login

struct LoginRequest {
  Tag tag = 0;
  std::uint16_t formats = login::direct | login::indirect;
  std::uint8_t flags = login::single;
  std::uint8_t code = opcode::login_req;
  std::uint32_t iu_bytes = 8260;
  PortId initiator{};
  PortId target{};
  std::uint16_t immediate_offset = 0;

  [[nodiscard]] Bytes encode() const;       // 56 bytes, as RDMA/CM over IP has room for
  [[nodiscard]] Bytes encode_full() const;  // 64 bytes, the standard's own form
};

struct LoginResponse {
  std::int32_t limit;
  Tag tag;
  std::uint32_t max_request_bytes;
  std::uint32_t max_response_bytes;
  std::uint16_t formats;
  std::uint8_t flags;
};
// Fails the case if it is none, or if a reserved byte is not zero.
LoginResponse parse_login_response(View bytes);

struct LoginReject {
  std::uint32_t reason;
  Tag tag;
  std::uint16_t formats;
};
LoginReject parse_login_reject(View bytes);

// ---- commands ----

struct Descriptor {
  std::uint64_t address;
  std::uint32_t key;
  std::uint32_t bytes;
};

enum class Format : std::uint8_t { none, direct, indirect, immediate };

// The data buffer of one direction.
struct DataBuffer {
  Format format = Format::none;
  std::vector<Descriptor> descriptors;  // in the IU; one if direct
  Descriptor table{};                   // where the whole table lies; indirect only
  std::uint32_t total = 0;              // indirect and immediate
};

DataBuffer direct(const Descriptor& descriptor);
// A table that is completely in the IU.
DataBuffer indirect(std::vector<Descriptor> descriptors);

namespace attribute {
inline constexpr std::uint8_t simple = 0, head_of_queue = 1, ordered = 2, aca = 4;
}

namespace notify {  // SOLNT of a request
inline constexpr std::uint8_t on_success = 0x02, on_failure = 0x04;
}

struct Command {
  Tag tag = 0;
  std::array<std::uint8_t, 8> lun{};
  std::uint8_t solnt = 0;
  std::uint8_t attribute = attribute::simple;
  Bytes cdb;  // what is beyond 16 bytes becomes the additional CDB
  DataBuffer out;
  DataBuffer in;

  [[nodiscard]] Bytes encode() const;
  // With immediate data: what was encoded, filler, and the data at the negotiated offset.
  [[nodiscard]] Bytes encode_immediate(View data, std::size_t offset) const;
};

namespace task {
inline constexpr std::uint8_t abort_task = 0x01, abort_task_set = 0x02, clear_task_set = 0x04,
                              lun_reset = 0x08, clear_aca = 0x40;
inline constexpr std::uint8_t complete = 0, invalid_fields = 2, unsupported = 4, failed = 5;
}  // namespace task

struct TaskManagement {
  Tag tag = 0;
  std::array<std::uint8_t, 8> lun{};
  std::uint8_t solnt = 0;
  std::uint8_t function = 0;
  Tag managed = 0;

  [[nodiscard]] Bytes encode() const;
};

// The 16 bytes of I_LOGOUT, CRED_RSP and AER_RSP.
Bytes encode_short(std::uint8_t code, Tag tag);

namespace offset {  // places in a request that cases spoil
inline constexpr std::size_t formats = 5, out_count = 6, in_count = 7, tag = 8, lun = 20,
                             attribute = 29, additional_cdb = 31, cdb = 32, buffers = 48,
                             function = 30;
}

// ---- responses ----

namespace flag {
inline constexpr std::uint8_t response_valid = 0x01, sense_valid = 0x02, out_over = 0x04,
                              out_under = 0x08, in_over = 0x10, in_under = 0x20;
}

namespace status {
inline constexpr std::uint8_t good = 0x00, check_condition = 0x02, busy = 0x08,
                              task_set_full = 0x28;
}

struct Response {
  Bytes raw;
  Tag tag = 0;
  std::int32_t delta = 0;
  std::uint8_t solnt = 0;
  std::uint8_t flags = 0;
  std::uint8_t status = 0;
  std::uint32_t out_residual = 0;
  std::uint32_t in_residual = 0;
  Bytes response;
  Bytes sense;

  [[nodiscard]] std::string describe() const;  // "status 02 sense 5/0e/03 ..." for messages
};
// Fails the case if it is not well-formed: lengths add up to what came, flags agree with fields,
// reserved is zero.
Response parse_response(View bytes);

struct Sense {
  std::uint8_t key, code, qualifier;
  bool operator==(const Sense&) const = default;
};
// Of fixed or descriptor format; zeros if there is none.
Sense sense_of(const Response& response);
std::string describe(const Sense& sense);

}  // namespace conformance
