// An initiator's channel that does what a test says, and keeps all that it gets.
//
// The simulation's initiator is clever; this one is not: it builds IUs from what a test spells out,
// and judges nothing but the frame of a response.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lld_srp/wire.h"
#include "tests/fake/cm.h"
#include "tests/fake/fabric.h"
#include "tests/unit/harness.h"

namespace srp::test {

using fake::Bytes;
using Cdb = std::array<std::uint8_t, 16>;

Cdb test_unit_ready();
Cdb inquiry(std::uint16_t allocation);
Cdb request_sense(std::uint8_t allocation);
Cdb read_10(std::uint32_t lba, std::uint16_t blocks);
Cdb write_10(std::uint32_t lba, std::uint16_t blocks);
Cdb unmap(std::uint16_t parameter_bytes);

wire::Tag tag_of(std::uint64_t number);
std::uint64_t number_of(const wire::Tag& tag);
wire::Lun peripheral_lun(std::uint64_t lun);

// SRP_CMD as a test wants it. One descriptor travels directly, more of them in a table.
struct CmdSpec {
  static constexpr std::size_t whole = 256;  // more than fit an IU
  std::uint64_t tag = 1;
  wire::Lun lun = {0, 1};
  Cdb cdb = {};
  std::vector<wire::MemoryDesc> out = {};
  std::vector<wire::MemoryDesc> in = {};
  std::uint8_t attribute = 0;
  std::uint8_t solnt = 0;
  Bytes immediate = {};  // data-out that travels with the command, at immediate_offset
  std::size_t immediate_offset = 68;
  Bytes additional_cdb = {};
  // Descriptors of a table that travel with the command; of the rest only `table` tells, where it
  // lies as a whole.
  std::size_t in_line = whole;
  wire::MemoryDesc table = {std::uint64_t{0x1000}, std::uint32_t{0x99}, std::uint32_t{0}};
};
Bytes build(const CmdSpec& spec);
Bytes build_task(std::uint64_t tag, std::uint8_t function, std::uint64_t task_tag,
                 const wire::Lun& lun = {0, 1}, std::uint8_t solnt = 0);
// SRP_CRED_RSP, SRP_AER_RSP, SRP_I_LOGOUT.
Bytes build_plain(wire::Opcode opcode);

// An SRP_RSP, taken apart.
struct Answer {
  wire::Rsp head;
  Bytes data;
  Bytes sense;

  [[nodiscard]] std::uint64_t tag() const { return number_of(head.tag); }
  [[nodiscard]] unsigned status() const { return head.status; }
  [[nodiscard]] std::uint32_t delta() const { return head.request_limit_delta; }
  // Sense key and additional sense code, "5/0e03"; empty without sense.
  [[nodiscard]] std::string sense_text() const;
  // Residuals with their direction and kind, "in-512", "out+40"; empty without any.
  [[nodiscard]] std::string residual_text() const;
  // RSP_CODE of a task's response, -1 for other responses.
  [[nodiscard]] int code() const { return data.size() == 4 ? data[3] : -1; }
};

class Client : public fake::Peer {
 public:
  Client() = default;
  ~Client() override { leave_connection(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // ---- what it says ----
  void send(const CmdSpec& spec) { send(build(spec)); }
  void send(Bytes iu) { connection->wire.push_back(std::move(iu)); }
  void send_task(std::uint64_t tag, wire::TaskFunction function, std::uint64_t task_tag,
                 const wire::Lun& lun = {0, 1});
  void disconnect();
  // Powered off: it answers nothing any more.
  void vanish();

  // ---- its memory ----
  struct Region {
    std::uint64_t address;
    Bytes bytes;
  };
  // A range of its memory for the target; all bytes are `content`.
  wire::MemoryDesc offer(std::size_t bytes, std::uint8_t content = 0xee);
  // Several ranges of these lengths.
  std::vector<wire::MemoryDesc> offer_list(std::initializer_list<std::size_t> lengths);
  [[nodiscard]] Bytes& bytes_of(const wire::MemoryDesc& descriptor);
  // Puts the descriptors of a table into its memory, so that spec can leave them out.
  void keep_table(CmdSpec& spec, std::size_t in_line);
  struct Access {
    std::uint64_t address;
    std::uint32_t key;
    std::size_t bytes;
    fake::RemoteAccess kind;
  };
  std::vector<Access> accesses;

  // ---- what it got ----
  [[nodiscard]] const Answer& last() const;
  // The answer with this tag; fails the test if there is none.
  [[nodiscard]] const Answer& answer_to(std::uint64_t tag) const;
  [[nodiscard]] bool answered(std::uint64_t tag) const;
  std::vector<Answer> answers;
  std::vector<Bytes> notices;  // IUs that answer nothing: SRP_CRED_REQ, SRP_T_LOGOUT
  std::optional<wire::LoginRsp> login_rsp;
  std::optional<wire::LoginRej> login_rej;
  int reject_reason = 0;
  bool up = false;
  bool disconnected = false;
  unsigned queue_pair_errors = 0;

  bool confirms = true;  // with an RTU, as soon as it is accepted
  bool confirms_disconnect = true;
  bool overdrawn = false;
  fake::CmConnection* connection = nullptr;
  wire::LoginReqRdma request{};

  // ---- Peer ----
  std::uint8_t* memory(std::uint64_t address, std::uint32_t key, std::size_t bytes,
                       fake::RemoteAccess access) override;
  void on_iu(std::span<const std::uint8_t> iu) override;
  void on_queue_pair_error() override;
  [[nodiscard]] bool reachable() const override { return login_rsp.has_value() && !disconnected; }
  [[nodiscard]] bool overdrew() const override { return overdrawn; }
  void on_login_response(std::span<const std::uint8_t> private_data) override;
  void on_login_reject(int reason, std::span<const std::uint8_t> private_data) override;
  void on_disconnect() override;

 private:
  void leave_connection();

  std::map<std::uint32_t, Region> regions_;
  std::uint32_t next_key_ = 0x100;
};

}  // namespace srp::test
