// How a test's initiator builds and takes apart IUs; see client.h.
#include "tests/unit/client.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/unit/harness.h"

namespace srp::test {

namespace {

void append(Bytes& iu, const auto& object) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&object);
  iu.insert(iu.end(), raw, raw + sizeof object);
}

unsigned format_of(const std::vector<wire::MemoryDesc>& descriptors) {
  return descriptors.empty() ? 0 : descriptors.size() == 1 ? 1 : 2;
}

void append_list(Bytes& iu, const std::vector<wire::MemoryDesc>& descriptors, const CmdSpec& spec) {
  const std::size_t in_line = std::min(descriptors.size(), spec.in_line);
  if (descriptors.size() > 1) {
    std::uint32_t total = 0;
    for (const auto& descriptor : descriptors) total += descriptor.bytes;
    const auto table_bytes = static_cast<std::uint32_t>(16 * descriptors.size());
    append(iu, wire::IndirectDesc{{spec.table.address, spec.table.key, table_bytes}, total});
  }
  for (std::size_t i = 0; i < in_line; ++i) append(iu, descriptors[i]);
}

// Of a single descriptor there is no table.
std::uint8_t count_of(const std::vector<wire::MemoryDesc>& descriptors, std::size_t in_line) {
  return static_cast<std::uint8_t>(descriptors.size() > 1 ? std::min(descriptors.size(), in_line)
                                                          : 0);
}

Cdb cdb_10(std::uint8_t opcode, std::uint32_t lba, std::uint16_t length) {
  Cdb cdb{opcode};
  for (unsigned i = 0; i < 4; ++i) cdb[2 + i] = static_cast<std::uint8_t>(lba >> (24 - 8 * i));
  cdb[7] = static_cast<std::uint8_t>(length >> 8);
  cdb[8] = static_cast<std::uint8_t>(length);
  return cdb;
}

}  // namespace

Cdb test_unit_ready() { return {}; }
Cdb inquiry(std::uint16_t allocation) {
  return {0x12, 0, 0, static_cast<std::uint8_t>(allocation >> 8),
          static_cast<std::uint8_t>(allocation)};
}
Cdb request_sense(std::uint8_t allocation) { return {0x03, 0, 0, 0, allocation}; }
Cdb read_10(std::uint32_t lba, std::uint16_t blocks) { return cdb_10(0x28, lba, blocks); }
Cdb write_10(std::uint32_t lba, std::uint16_t blocks) { return cdb_10(0x2a, lba, blocks); }
Cdb unmap(std::uint16_t parameter_bytes) { return cdb_10(0x42, 0, parameter_bytes); }

wire::Tag tag_of(std::uint64_t number) {
  wire::Tag tag;
  std::memcpy(tag.bytes.data(), &number, sizeof number);
  return tag;
}

std::uint64_t number_of(const wire::Tag& tag) {
  std::uint64_t number;
  std::memcpy(&number, tag.bytes.data(), sizeof number);
  return number;
}

wire::Lun peripheral_lun(std::uint64_t lun) { return {0, static_cast<std::uint8_t>(lun)}; }

Bytes build(const CmdSpec& spec) {
  constexpr unsigned immediate = 3;
  const unsigned out_format = spec.immediate.empty() ? format_of(spec.out) : immediate;
  wire::Cmd head{};
  head.opcode = static_cast<std::uint8_t>(wire::Opcode::cmd);
  head.solnt = spec.solnt;
  head.buffer_formats = static_cast<std::uint8_t>(out_format << 4 | format_of(spec.in));
  head.out_count = count_of(spec.out, spec.in_line);
  head.in_count = count_of(spec.in, spec.in_line);
  head.tag = tag_of(spec.tag);
  head.lun = spec.lun;
  head.task_attribute = spec.attribute;
  head.additional_cdb = static_cast<std::uint8_t>(spec.additional_cdb.size());
  std::copy(spec.cdb.begin(), spec.cdb.end(), head.cdb);
  Bytes iu;
  append(iu, head);
  iu.insert(iu.end(), spec.additional_cdb.begin(), spec.additional_cdb.end());
  if (!spec.immediate.empty()) {
    append(iu, wire::ImmediateDesc{static_cast<std::uint32_t>(spec.immediate.size())});
  }
  append_list(iu, spec.out, spec);
  append_list(iu, spec.in, spec);
  if (spec.immediate.empty()) return iu;
  iu.resize(spec.immediate_offset, 0xcc);  // what lies between is nobody's
  iu.insert(iu.end(), spec.immediate.begin(), spec.immediate.end());
  return iu;
}

Bytes build_task(std::uint64_t tag, std::uint8_t function, std::uint64_t task_tag,
                 const wire::Lun& lun, std::uint8_t solnt) {
  wire::TskMgmt head{};
  head.opcode = static_cast<std::uint8_t>(wire::Opcode::tsk_mgmt);
  head.solnt = solnt;
  head.tag = tag_of(tag);
  head.lun = lun;
  head.function = function;
  head.task_tag = tag_of(task_tag);
  Bytes iu;
  append(iu, head);
  return iu;
}

Bytes build_plain(wire::Opcode opcode) {
  Bytes iu(16);
  iu[0] = static_cast<std::uint8_t>(opcode);
  return iu;
}

// ---- answers ----

std::string Answer::sense_text() const {
  if ((head.flags & wire::sense_valid) == 0 || sense.size() < 14) return {};
  char text[16];
  std::snprintf(text, sizeof text, "%x/%02x%02x", sense[2] & 0x0f, sense[12], sense[13]);
  return text;
}

std::string Answer::residual_text() const {
  std::string text;
  const auto add = [&](std::uint8_t flag, const char* name, std::uint32_t bytes) {
    if ((head.flags & flag) != 0)
      text += (text.empty() ? "" : " ") + (name + std::to_string(bytes));
  };
  add(wire::out_under, "out-", head.out_residual);
  add(wire::out_over, "out+", head.out_residual);
  add(wire::in_under, "in-", head.in_residual);
  add(wire::in_over, "in+", head.in_residual);
  return text;
}

const Answer& Client::last() const {
  CHECK_FALSE_TEXT(answers.empty(), "there is no answer");
  return answers.back();
}

bool Client::answered(std::uint64_t tag) const {
  return std::ranges::any_of(answers, [tag](const Answer& one) { return one.tag() == tag; });
}

const Answer& Client::answer_to(std::uint64_t tag) const {
  const auto found =
      std::ranges::find_if(answers, [tag](const Answer& one) { return one.tag() == tag; });
  CHECK_TRUE_TEXT(found != answers.end(), "there is no answer with this tag");
  return *found;
}

void Client::on_iu(std::span<const std::uint8_t> iu) {
  CHECK_FALSE(iu.empty());
  const auto opcode = static_cast<wire::Opcode>(iu[0]);
  if (opcode == wire::Opcode::cred_req || opcode == wire::Opcode::t_logout) {
    notices.emplace_back(iu.begin(), iu.end());
    return;
  }
  Answer answer{};
  CHECK_TRUE(iu.size() >= sizeof answer.head);
  std::memcpy(&answer.head, iu.data(), sizeof answer.head);
  CHECK_EQUAL(static_cast<unsigned>(wire::Opcode::rsp), unsigned{answer.head.opcode});
  auto rest = iu.subspan(sizeof answer.head);
  const std::uint32_t data_bytes = answer.head.response_data_bytes;
  const std::uint32_t sense_bytes = answer.head.sense_bytes;
  CHECK_EQUAL(rest.size(), std::size_t{data_bytes} + sense_bytes);
  answer.data.assign(rest.begin(), rest.begin() + data_bytes);
  answer.sense.assign(rest.begin() + data_bytes, rest.end());
  answers.push_back(std::move(answer));
}

// ---- memory ----

wire::MemoryDesc Client::offer(std::size_t bytes, std::uint8_t content) {
  const std::uint32_t key = next_key_++;
  const std::uint64_t address = 0x7f0000000000 + (std::uint64_t{key} << 24);
  regions_[key] = {address, Bytes(bytes, content)};
  return {address, key, static_cast<std::uint32_t>(bytes)};
}

std::vector<wire::MemoryDesc> Client::offer_list(std::initializer_list<std::size_t> lengths) {
  std::vector<wire::MemoryDesc> descriptors;
  for (const std::size_t bytes : lengths) descriptors.push_back(offer(bytes));
  return descriptors;
}

Bytes& Client::bytes_of(const wire::MemoryDesc& descriptor) {
  return regions_.at(descriptor.key).bytes;
}

void Client::keep_table(CmdSpec& spec, std::size_t in_line) {
  const auto& descriptors = spec.out.empty() ? spec.in : spec.out;
  spec.table = offer(descriptors.size() * sizeof(wire::MemoryDesc));
  std::memcpy(bytes_of(spec.table).data(), descriptors.data(), bytes_of(spec.table).size());
  spec.in_line = in_line;
}

std::uint8_t* Client::memory(std::uint64_t address, std::uint32_t key, std::size_t bytes,
                             fake::RemoteAccess access) {
  accesses.push_back({address, key, bytes, access});
  const auto found = regions_.find(key);
  if (found == regions_.end()) return nullptr;
  Region& region = found->second;
  const std::uint64_t at = address - region.address;
  if (at > region.bytes.size() || bytes > region.bytes.size() - at) return nullptr;
  return region.bytes.data() + at;
}

// ---- the connection ----

void Client::send_task(std::uint64_t tag, wire::TaskFunction function, std::uint64_t task_tag,
                       const wire::Lun& lun) {
  send(build_task(tag, static_cast<std::uint8_t>(function), task_tag, lun));
}

void Client::on_login_response(std::span<const std::uint8_t> private_data) {
  CHECK_EQUAL(sizeof(wire::LoginRsp), private_data.size());
  std::memcpy(&login_rsp.emplace(), private_data.data(), sizeof(wire::LoginRsp));
  if (!confirms) return;
  up = true;
  connection->send(fake::CmMessage::rtu);
}

void Client::on_login_reject(int reason, std::span<const std::uint8_t> private_data) {
  reject_reason = reason;
  disconnected = true;
  if (private_data.empty()) return;
  CHECK_EQUAL(sizeof(wire::LoginRej), private_data.size());
  std::memcpy(&login_rej.emplace(), private_data.data(), sizeof(wire::LoginRej));
}

// The connection manager has sent the DREP for it already.
void Client::on_disconnect() {
  disconnected = true;
  up = false;
  if (!confirms_disconnect) connection->to_target.clear();
}

void Client::on_queue_pair_error() { ++queue_pair_errors; }

void Client::disconnect() {
  connection->send(fake::CmMessage::dreq);
  disconnected = true;
  up = false;
}

void Client::vanish() {
  disconnected = true;
  up = false;
  leave_connection();
}

void Client::leave_connection() {
  if (connection == nullptr) return;
  connection->peer = nullptr;
  connection->to_target.clear();
  connection = nullptr;
}

}  // namespace srp::test
