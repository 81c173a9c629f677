// SRP_CMD IUs written field by field, for tests of what reads them.
#pragma once

#include "lld_srp/wire.h"
#include "tests/unit/bytes.h"

namespace srp::test {

struct Piece {
  std::uint64_t address;
  std::uint32_t key;
  std::uint32_t bytes;
};

class CmdIu {
 public:
  // formats: data-out in the high nibble.
  explicit CmdIu(unsigned formats = 0, unsigned out_count = 0, unsigned in_count = 0) {
    wire::Cmd head{};
    head.opcode = static_cast<std::uint8_t>(wire::Opcode::cmd);
    head.buffer_formats = static_cast<std::uint8_t>(formats);
    head.out_count = static_cast<std::uint8_t>(out_count);
    head.in_count = static_cast<std::uint8_t>(in_count);
    head.tag = {{1, 2, 3, 4, 5, 6, 7, 8}};
    head.lun = {0, 3};
    head.task_attribute = 2;
    for (unsigned i = 0; i < sizeof head.cdb; ++i)
      head.cdb[i] = static_cast<std::uint8_t>(0xc0 + i);
    bytes = bytes_of(head);
  }

  // field: the byte ADDITIONAL CDB LENGTH; count: bytes that follow.
  CmdIu& additional_cdb(unsigned field, std::size_t count) {
    bytes[offsetof(wire::Cmd, additional_cdb)] = static_cast<std::uint8_t>(field);
    for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(0xd0 + i));
    return *this;
  }

  CmdIu& piece(const Piece& piece) {
    return add(wire::MemoryDesc{piece.address, piece.key, piece.bytes});
  }

  // Head of an indirect descriptor: length of the table, and of the data.
  CmdIu& table(std::uint32_t table_bytes, std::uint32_t total_bytes) {
    return add(wire::IndirectDesc{{0x7000, 0x77, table_bytes}, total_bytes});
  }

  CmdIu& pieces(std::size_t count, std::uint32_t bytes_of_each) {
    for (std::size_t i = 0; i < count; ++i) {
      piece({0x10000 * (i + 1), static_cast<std::uint32_t>(i), bytes_of_each});
    }
    return *this;
  }

  // A block of exactly its size.
  [[nodiscard]] Bytes get() const { return prefix(bytes, bytes.size()); }

  Bytes bytes;

 private:
  template <class T>
  CmdIu& add(const T& value) {
    const Bytes more = bytes_of(value);
    bytes.insert(bytes.end(), more.begin(), more.end());
    return *this;
  }
};

}  // namespace srp::test
