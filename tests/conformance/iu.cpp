#include "iu.h"

#include <algorithm>
#include <cstring>

#include "check.h"

namespace conformance {

namespace {

constexpr std::size_t login_rsp_bytes = 52, login_rej_bytes = 32, rsp_bytes = 36;

void put_tag(Bytes& bytes, std::size_t at, Tag tag) {
  std::memcpy(bytes.data() + at, &tag, sizeof tag);
}

Tag get_tag(View bytes, std::size_t at) {
  Tag tag;
  std::memcpy(&tag, bytes.data() + at, sizeof tag);
  return tag;
}

void put_port(Bytes& bytes, std::size_t at, const PortId& port) {
  put(bytes, at, port.extension, 8);
  put(bytes, at + 8, port.guid, 8);
}

void check_reserved(View bytes, std::size_t at, std::size_t count, const char* where) {
  for (std::size_t i = at; i < at + count; ++i) {
    check(bytes[i] == 0, where, ": reserved byte ", i, " is not zero: ", to_hex(bytes));
  }
}

void append_descriptor(Bytes& bytes, const Descriptor& descriptor) {
  append(bytes, descriptor.address, 8);
  append(bytes, descriptor.key, 4);
  append(bytes, descriptor.bytes, 4);
}

void append_buffer(Bytes& bytes, const DataBuffer& buffer) {
  switch (buffer.format) {
    case Format::none: return;
    case Format::direct: return append_descriptor(bytes, buffer.descriptors.at(0));
    case Format::immediate: return append(bytes, buffer.total, 4);
    case Format::indirect: break;
  }
  append_descriptor(bytes, buffer.table);
  append(bytes, buffer.total, 4);
  for (const auto& descriptor : buffer.descriptors) append_descriptor(bytes, descriptor);
}

std::uint8_t count_of(const DataBuffer& buffer) {
  return buffer.format == Format::indirect ? static_cast<std::uint8_t>(buffer.descriptors.size())
                                           : std::uint8_t{0};
}

}  // namespace

Bytes LoginRequest::encode() const {
  Bytes bytes(56);
  put_tag(bytes, 0, tag);
  put(bytes, 8, formats, 2);
  bytes[10] = flags;
  bytes[11] = code;
  put(bytes, 12, iu_bytes, 4);
  put_port(bytes, 16, initiator);
  put_port(bytes, 32, target);
  put(bytes, 48, immediate_offset, 2);
  return bytes;
}

Bytes LoginRequest::encode_full() const {
  Bytes bytes(64);
  bytes[0] = code;
  put_tag(bytes, 8, tag);
  put(bytes, 16, iu_bytes, 4);
  put(bytes, 24, formats, 2);
  bytes[26] = flags;
  put(bytes, 28, immediate_offset, 2);
  put_port(bytes, 32, initiator);
  put_port(bytes, 48, target);
  return bytes;
}

LoginResponse parse_login_response(View bytes) {
  check(bytes.size() >= login_rsp_bytes, "LOGIN_RSP of ", bytes.size(), " bytes");
  check(bytes[0] == opcode::login_rsp, "no LOGIN_RSP in the reply: ", to_hex(bytes.first(16)));
  check_reserved(bytes, 1, 3, "LOGIN_RSP");
  check_reserved(bytes, 27, bytes.size() - 27, "LOGIN_RSP");  // InfiniBand pads with zeros
  return {
      static_cast<std::int32_t>(get(bytes, 4, 4)),   get_tag(bytes, 8),
      static_cast<std::uint32_t>(get(bytes, 16, 4)), static_cast<std::uint32_t>(get(bytes, 20, 4)),
      static_cast<std::uint16_t>(get(bytes, 24, 2)), bytes[26]};
}

LoginReject parse_login_reject(View bytes) {
  check(bytes.size() >= login_rej_bytes, "LOGIN_REJ of ", bytes.size(), " bytes");
  check(bytes[0] == opcode::login_rej, "no LOGIN_REJ in the refusal: ", to_hex(bytes.first(16)));
  check_reserved(bytes, 1, 3, "LOGIN_REJ");
  check_reserved(bytes, 16, 8, "LOGIN_REJ");
  check_reserved(bytes, 26, 6, "LOGIN_REJ");
  return {static_cast<std::uint32_t>(get(bytes, 4, 4)), get_tag(bytes, 8),
          static_cast<std::uint16_t>(get(bytes, 24, 2))};
}

DataBuffer direct(const Descriptor& descriptor) { return {Format::direct, {descriptor}, {}, 0}; }

DataBuffer indirect(std::vector<Descriptor> descriptors) {
  DataBuffer buffer{Format::indirect, std::move(descriptors), {}, 0};
  for (const auto& descriptor : buffer.descriptors) buffer.total += descriptor.bytes;
  buffer.table.bytes = static_cast<std::uint32_t>(16 * buffer.descriptors.size());
  return buffer;
}

Bytes Command::encode() const {
  Bytes bytes(offset::buffers);
  bytes[0] = opcode::cmd;
  bytes[1] = solnt;
  bytes[offset::formats] = static_cast<std::uint8_t>(static_cast<unsigned>(out.format) << 4 |
                                                     static_cast<unsigned>(in.format));
  bytes[offset::out_count] = count_of(out);
  bytes[offset::in_count] = count_of(in);
  put_tag(bytes, offset::tag, tag);
  std::ranges::copy(lun, bytes.begin() + offset::lun);
  bytes[offset::attribute] = attribute;
  std::copy_n(cdb.begin(), std::min<std::size_t>(cdb.size(), 16), bytes.begin() + offset::cdb);
  if (cdb.size() > 16) {
    const std::size_t words = (cdb.size() - 16 + 3) / 4;
    bytes[offset::additional_cdb] = static_cast<std::uint8_t>(words * 4);
    append(bytes, View(cdb).subspan(16));
    bytes.resize(offset::buffers + words * 4);
  }
  append_buffer(bytes, out);
  append_buffer(bytes, in);
  return bytes;
}

Bytes Command::encode_immediate(View data, std::size_t offset) const {
  Bytes bytes = encode();
  bytes.resize(offset, 0xee);  // undefined filler: a target must not look at it
  append(bytes, data);
  return bytes;
}

Bytes TaskManagement::encode() const {
  Bytes bytes(48);
  bytes[0] = opcode::tsk_mgmt;
  bytes[1] = solnt;
  put_tag(bytes, offset::tag, tag);
  std::ranges::copy(lun, bytes.begin() + offset::lun);
  bytes[offset::function] = function;
  put_tag(bytes, 32, managed);
  return bytes;
}

Bytes encode_short(std::uint8_t code, Tag tag) {
  Bytes bytes(16);
  bytes[0] = code;
  put_tag(bytes, offset::tag, tag);
  return bytes;
}

Response parse_response(View bytes) {
  check(bytes.size() >= rsp_bytes, "SRP_RSP of ", bytes.size(), " bytes");
  Response response;
  response.raw.assign(bytes.begin(), bytes.end());
  response.solnt = bytes[1];
  response.delta = static_cast<std::int32_t>(get(bytes, 4, 4));
  response.tag = get_tag(bytes, 8);
  response.flags = bytes[18];
  response.status = bytes[19];
  response.out_residual = static_cast<std::uint32_t>(get(bytes, 20, 4));
  response.in_residual = static_cast<std::uint32_t>(get(bytes, 24, 4));
  const auto sense = get(bytes, 28, 4), data = get(bytes, 32, 4);
  check(rsp_bytes + data + sense == bytes.size(), "SRP_RSP of ", bytes.size(), " bytes says sense ",
        sense, ", response data ", data);
  response.response.assign(bytes.begin() + rsp_bytes,
                           bytes.begin() + static_cast<std::ptrdiff_t>(rsp_bytes + data));
  response.sense.assign(bytes.end() - static_cast<std::ptrdiff_t>(sense), bytes.end());

  check_reserved(bytes, 2, 2, "SRP_RSP");
  check_reserved(bytes, 16, 2, "SRP_RSP");
  const auto is = [&](std::uint8_t flags) { return (response.flags & flags) != 0; };
  check((response.flags & 0xc0) == 0 && (response.solnt & 0xfe) == 0,
        "SRP_RSP: reserved bits: ", response.describe());
  check(is(flag::response_valid) == (data != 0), "RSPVALID: ", response.describe());
  check(is(flag::sense_valid) == (sense != 0), "SNSVALID: ", response.describe());
  check(data == 0 || data == 4, "response data of ", data, " bytes");
  check(!(is(flag::out_over) && is(flag::out_under)), "DOOVER and DOUNDER at once");
  check(!(is(flag::in_over) && is(flag::in_under)), "DIOVER and DIUNDER at once");
  check(is(flag::out_over | flag::out_under) == (response.out_residual != 0),
        "data-out residual: ", response.describe());
  check(is(flag::in_over | flag::in_under) == (response.in_residual != 0),
        "data-in residual: ", response.describe());
  return response;
}

std::string Response::describe() const {
  std::string all = text("status ", unsigned{status}, ", flags ", unsigned{flags},
                         ", residual out ", out_residual, " in ", in_residual);
  if (!sense.empty()) all += ", sense " + conformance::describe(sense_of(*this));
  if (!response.empty()) all += text(", RSP_CODE ", unsigned{response.back()});
  return all;
}

Sense sense_of(const Response& response) {
  const Bytes& sense = response.sense;
  if (sense.size() < 4) return {};
  if ((sense[0] & 0x7f) >= 0x72)
    return {static_cast<std::uint8_t>(sense[1] & 15), sense[2], sense[3]};
  if (sense.size() < 14) return {};
  return {static_cast<std::uint8_t>(sense[2] & 15), sense[12], sense[13]};
}

std::string describe(const Sense& sense) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string all = text(unsigned{sense.key}, "/");
  for (const unsigned byte : {unsigned{sense.code}, unsigned{sense.qualifier}}) {
    all += {digits[byte >> 4], digits[byte & 15], '/'};
  }
  all.pop_back();
  return all;
}

}  // namespace conformance
