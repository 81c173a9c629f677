// For cases about a single command: a channel, memory of either direction with a filler around what
// is used, and an extent of the disk whose content is known.
#pragma once

#include "lab.h"

namespace conformance {

class Workbench {
 public:
  static constexpr std::uint8_t filler = 0xa5;
  static constexpr std::size_t memory_bytes = 64 << 10;
  static constexpr std::size_t extent_bytes = 16 << 10;

  explicit Workbench(Lab& in);
  Workbench(Lab& in, Channel& over);

  Lab& lab;
  Channel& channel;
  Region& out;  // a pattern, unlike what is on the disk
  Region& in;   // filler

  [[nodiscard]] std::size_t block() const { return lab.block(); }
  // READ and WRITE at the start of the extent, with a direct descriptor of just the right length.
  Command read(std::uint16_t blocks = 8);
  Command write(std::uint16_t blocks = 8);
  Command ready() { return lab.command(channel, cdb::test_unit_ready()); }
  Command inquiry(std::uint16_t allocation);

  Response run(const Command& command) { return channel.run(command.encode()); }
  Response run(View iu) { return channel.run(iu); }

  // The first `bytes` at `in` are those of the disk, the others are filler.
  void must_have_read(std::size_t bytes);
  void must_have_read_nothing() { must_have_read(0); }
  // The extent starts with the first `bytes` of `out`; what follows is as it was.
  void must_have_written(std::size_t bytes);
  void must_have_written_nothing() { must_have_written(0); }

 private:
  Bytes content_;  // of the extent
};

}  // namespace conformance
