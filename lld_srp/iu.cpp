#include "lld_srp/iu.h"

#include <algorithm>
#include <cstring>

#include "lld_srp/limits.h"

namespace srp {

namespace {

// Takes values off the front of what arrived; never beyond it.
class Cursor {
 public:
  explicit Cursor(Iu bytes) noexcept : all_(bytes.size()), rest_(bytes) {}

  [[nodiscard]] std::size_t taken() const noexcept { return all_ - rest_.size(); }

  template <class T>
  [[nodiscard]] const T* take() noexcept {
    return take_array<T>(1).data();
  }

  // Empty (null) if fewer than count are left.
  template <class T>
  [[nodiscard]] std::span<const T> take_array(std::size_t count) noexcept {
    static_assert(alignof(T) == 1);
    if (rest_.size() / sizeof(T) < count) return {};
    const std::span<const T> taken{reinterpret_cast<const T*>(rest_.data()), count};
    rest_ = rest_.subspan(count * sizeof(T));
    return taken;
  }

 private:
  std::size_t all_;
  Iu rest_;
};

CmdFault parse_direct(Cursor& cursor, DataBuffer& buffer) noexcept {
  const auto descriptors = cursor.take_array<wire::MemoryDesc>(1);
  if (descriptors.data() == nullptr) return CmdFault::too_short;
  buffer.bytes = descriptors[0].bytes;
  buffer.descriptors = descriptors;
  return CmdFault::none;
}

// count: descriptors that the header says are in the IU.
CmdFault parse_indirect(Cursor& cursor, std::size_t count, DataBuffer& buffer) noexcept {
  const auto* head = cursor.take<wire::IndirectDesc>();
  if (head == nullptr) return CmdFault::too_short;
  const auto in_line = cursor.take_array<wire::MemoryDesc>(count);
  if (count != 0 && in_line.data() == nullptr) return CmdFault::too_short;

  const std::uint32_t table_bytes = head->table.bytes;
  if (table_bytes == 0 || table_bytes % sizeof(wire::MemoryDesc) != 0) {
    return CmdFault::invalid_field;
  }
  const std::size_t table_count = table_bytes / sizeof(wire::MemoryDesc);
  buffer.bytes = head->total_bytes;
  if (count < table_count) {  // the rest is with the initiator
    if (table_count > table_descriptors_max) return CmdFault::invalid_field;
    buffer.descriptors = in_line;
    buffer.table = head->table;
    buffer.table_count = static_cast<std::uint32_t>(table_count);
    return CmdFault::none;
  }
  buffer.descriptors = in_line.first(table_count);
  return covers(buffer.descriptors, buffer.bytes) ? CmdFault::none : CmdFault::invalid_field;
}

CmdFault parse_immediate(Cursor& cursor, Iu iu, std::size_t offset, DataBuffer& buffer) noexcept {
  const auto* descriptor = cursor.take<wire::ImmediateDesc>();
  if (descriptor == nullptr) return CmdFault::too_short;
  const std::size_t bytes = descriptor->bytes;
  if (offset > iu.size() || bytes > iu.size() - offset) return CmdFault::too_short;
  buffer.bytes = bytes;
  buffer.inside = iu.subspan(offset, bytes);
  return CmdFault::none;
}

CmdFault parse_buffer(Cursor& cursor, unsigned format, std::size_t count,
                      DataBuffer& buffer) noexcept {
  switch (static_cast<wire::BufferFormat>(format)) {
    case wire::BufferFormat::none: return CmdFault::none;
    case wire::BufferFormat::direct: return parse_direct(cursor, buffer);
    case wire::BufferFormat::indirect: return parse_indirect(cursor, count, buffer);
    case wire::BufferFormat::immediate:  // not data-in, and not where it was not granted
      break;
  }
  return CmdFault::invalid_field;
}

}  // namespace

bool covers(std::span<const wire::MemoryDesc> descriptors, std::uint64_t bytes) noexcept {
  std::uint64_t sum = 0;
  for (const auto& descriptor : descriptors) sum += descriptor.bytes;
  return sum >= bytes;
}

namespace {

// Bytes of the shortest IU with this opcode; 0: it is none of an initiator's.
std::size_t least_bytes(wire::Opcode opcode) noexcept {
  switch (opcode) {
    case wire::Opcode::cmd: return sizeof(wire::Cmd);
    case wire::Opcode::tsk_mgmt: return sizeof(wire::TskMgmt);
    case wire::Opcode::i_logout:
    case wire::Opcode::cred_rsp:
    case wire::Opcode::aer_rsp: return 16;
    default: return 0;
  }
}

}  // namespace

std::optional<wire::Opcode> classify(Iu iu) noexcept {
  if (iu.empty()) return std::nullopt;
  const auto opcode = static_cast<wire::Opcode>(iu[0]);
  if (!may_be_sent(opcode) || iu.size() < least_bytes(opcode)) return std::nullopt;
  return opcode;
}

bool may_be_sent(wire::Opcode opcode) noexcept { return least_bytes(opcode) != 0; }

CmdFault parse_cmd(Iu iu, std::size_t immediate_offset, CmdRequest& request) noexcept {
  Cursor cursor{iu};
  const wire::Cmd& head = *cursor.take<wire::Cmd>();
  request = {};
  request.tag = head.tag;
  request.lun = head.lun;
  request.attribute = static_cast<wire::TaskAttribute>(head.task_attribute & 0x07);
  request.solnt = head.solnt;
  request.cdb = head.cdb;

  const std::size_t additional = head.additional_cdb & ~std::size_t{3};
  if (additional != 0) {
    if (cursor.take_array<std::uint8_t>(additional).data() == nullptr) return CmdFault::too_short;
    request.cdb = {head.cdb, sizeof head.cdb + additional};
  }

  const unsigned out_format = head.buffer_formats >> 4;
  const unsigned in_format = head.buffer_formats & 0x0f;
  // Some initiators put the count of a single direction into the other one's field, so both kernel
  // targets take the sum; only two descriptors make the fields mean what they say.
  const bool both = out_format != 0 && in_format != 0;
  const std::size_t sum = std::size_t{head.out_count} + head.in_count;
  const bool immediate =
      immediate_offset != 0 && out_format == static_cast<unsigned>(wire::BufferFormat::immediate);
  CmdFault fault = immediate
                       ? parse_immediate(cursor, iu, immediate_offset, request.out)
                       : parse_buffer(cursor, out_format, both ? head.out_count : sum, request.out);
  if (fault != CmdFault::none) return fault;
  fault = parse_buffer(cursor, in_format, both ? head.in_count : sum, request.in);
  if (fault == CmdFault::none && immediate && cursor.taken() > immediate_offset) {
    return CmdFault::invalid_field;  // descriptors reach into the data
  }
  return fault;
}

CmdAddress address_of_cmd(Iu iu) noexcept {
  const auto& head = *Cursor{iu}.take<wire::Cmd>();
  return {head.tag, head.lun};
}

TaskRequest parse_task(Iu iu) noexcept {
  const auto& wire = *Cursor{iu}.take<wire::TskMgmt>();
  return {wire.tag, wire.lun, wire.solnt, static_cast<wire::TaskFunction>(wire.function),
          wire.task_tag};
}

namespace {

// The fields of either form. False: private_data is too short for it; its tag is taken anyhow.
template <class Form>
bool read_login(Iu private_data, LoginRequest& request, std::uint8_t& opcode) noexcept {
  constexpr std::size_t tag_at = offsetof(Form, tag);
  if (private_data.size() >= tag_at + sizeof request.tag) {
    std::memcpy(request.tag.bytes.data(), private_data.data() + tag_at, sizeof request.tag);
  }
  const auto* wire = Cursor{private_data}.take<Form>();
  if (wire == nullptr) return false;
  opcode = wire->opcode;
  request.required_formats = wire->required_formats;
  request.max_iu_bytes = wire->max_iu_bytes;
  request.initiator_port = wire->initiator_port;
  request.target_port = wire->target_port;
  request.action = static_cast<wire::MultiChannelAction>(wire->flags & wire::action_mask);
  request.solicited = (wire->flags & wire::solicited_mask) != 0;
  request.solicited_logout = (wire->flags & wire::solicited_t_logout) != 0;
  request.solicited_credits = (wire->flags & wire::solicited_cred_req) != 0;
  request.immediate = (wire->flags & wire::immediate_requested) != 0;
  request.immediate_offset = wire->immediate_offset;
  return true;
}

}  // namespace

std::optional<LoginFault> parse_login(Iu private_data, LoginForm form,
                                      LoginRequest& request) noexcept {
  using Reason = wire::LoginRejReason;
  request = {};
  std::uint8_t opcode = 0;
  if (form == LoginForm::ib_cm) {
    if (!read_login<wire::LoginReq>(private_data, request, opcode))
      return LoginFault{Reason::unspecified, "login request shorter than 64 bytes"};
  } else if (!read_login<wire::LoginReqRdma>(private_data, request, opcode)) {
    return LoginFault{Reason::unspecified, "login request shorter than 56 bytes"};
  }
  if (opcode != static_cast<std::uint8_t>(wire::Opcode::login_req)) {
    return LoginFault{Reason::unspecified, "not an SRP_LOGIN_REQ"};
  }
  if (request.action != wire::MultiChannelAction::single &&
      request.action != wire::MultiChannelAction::multi) {
    return LoginFault{Reason::unspecified, "reserved multi-channel action"};
  }
  if (request.max_iu_bytes < sizeof(wire::Cmd) + sizeof(wire::MemoryDesc)) {
    return LoginFault{Reason::unspecified, "requested IU length below 64 bytes"};
  }
  // iPXE sends this field in the other byte order.
  if (request.required_formats == 0x0200) request.required_formats = wire::format_direct;
  if ((request.required_formats & ~(wire::format_direct | wire::format_indirect)) != 0) {
    return LoginFault{Reason::unsupported_format, "required buffer format is not supported"};
  }
  return std::nullopt;
}

wire::LoginRej build_login_rej(const wire::Tag& tag, wire::LoginRejReason reason) noexcept {
  wire::LoginRej rej{};
  rej.opcode = static_cast<std::uint8_t>(wire::Opcode::login_rej);
  rej.reason = static_cast<std::uint32_t>(reason);
  rej.tag = tag;
  rej.supported_formats = wire::format_direct | wire::format_indirect;
  return rej;
}

wire::LoginRsp build_login_rsp(const wire::Tag& tag, const LoginAnswer& answer) noexcept {
  wire::LoginRsp rsp{};
  rsp.opcode = static_cast<std::uint8_t>(wire::Opcode::login_rsp);
  rsp.request_limit_delta = answer.request_limit;
  rsp.tag = tag;
  rsp.max_iu_bytes = answer.max_iu_bytes;
  rsp.max_target_iu_bytes = answer.max_target_iu_bytes;
  rsp.supported_formats = wire::format_direct | wire::format_indirect;
  rsp.flags = static_cast<std::uint8_t>(answer.result);
  if (answer.solicited) rsp.flags |= wire::solicited_supported;
  if (answer.immediate) rsp.flags |= wire::immediate_supported;
  return rsp;
}

namespace {

wire::Rsp rsp_of(const RspHead& head) noexcept {
  wire::Rsp rsp{};
  rsp.opcode = static_cast<std::uint8_t>(wire::Opcode::rsp);
  if (head.solicited) rsp.solnt = wire::solicited;
  rsp.request_limit_delta = head.delta;
  rsp.tag = head.tag;
  return rsp;
}

}  // namespace

std::size_t build_rsp(std::span<std::uint8_t> iu, const RspHead& head,
                      const CmdResult& result) noexcept {
  wire::Rsp rsp = rsp_of(head);
  rsp.status = result.status;
  if (result.out.over) rsp.flags |= wire::out_over;
  if (result.out.under) rsp.flags |= wire::out_under;
  if (result.in.over) rsp.flags |= wire::in_over;
  if (result.in.under) rsp.flags |= wire::in_under;
  rsp.out_residual = result.out.over ? result.out.over : result.out.under;
  rsp.in_residual = result.in.over ? result.in.over : result.in.under;

  const std::size_t sense_bytes = std::min(result.sense.size(), iu.size() - sizeof rsp);
  if (sense_bytes != 0) {
    rsp.flags |= wire::sense_valid;
    rsp.sense_bytes = static_cast<std::uint32_t>(sense_bytes);
    std::memcpy(iu.data() + sizeof rsp, result.sense.data(), sense_bytes);
  }
  std::memcpy(iu.data(), &rsp, sizeof rsp);
  return sizeof rsp + sense_bytes;
}

std::size_t build_task_rsp(std::span<std::uint8_t> iu, const RspHead& head,
                           wire::RspCode code) noexcept {
  wire::Rsp rsp = rsp_of(head);
  rsp.flags = wire::rsp_valid;
  rsp.response_data_bytes = wire::response_data_bytes;
  const std::uint8_t data[wire::response_data_bytes] = {0, 0, 0, static_cast<std::uint8_t>(code)};
  std::memcpy(iu.data(), &rsp, sizeof rsp);
  std::memcpy(iu.data() + sizeof rsp, data, sizeof data);
  return wire::task_rsp_bytes;
}

wire::TLogout build_t_logout(wire::LogoutReason reason) noexcept {
  wire::TLogout logout{};
  logout.opcode = static_cast<std::uint8_t>(wire::Opcode::t_logout);
  logout.reason = static_cast<std::uint32_t>(reason);
  return logout;
}

wire::CredReq build_cred_req(std::uint32_t delta) noexcept {
  wire::CredReq request{};
  request.opcode = static_cast<std::uint8_t>(wire::Opcode::cred_req);
  request.request_limit_delta = delta;
  return request;
}

}  // namespace srp
