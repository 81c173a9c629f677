#include "workbench.h"

#include <algorithm>

#include "check.h"

namespace conformance {

Workbench::Workbench(Lab& in_lab) : Workbench(in_lab, in_lab.login()) {}

Workbench::Workbench(Lab& in_lab, Channel& over)
    : lab(in_lab),
      channel(over),
      out(lab.memory(memory_bytes)),
      in(lab.memory(memory_bytes)),
      content_(pattern(extent_bytes, 1)) {
  out.copy_in(pattern(memory_bytes, 2));
  in.fill(filler);
  lab.write(channel, 0, content_);
}

Command Workbench::read(std::uint16_t blocks) {
  Command command = lab.command(channel, cdb::read_10(0, blocks));
  command.in = direct(in.at(0, blocks * block()));
  return command;
}

Command Workbench::write(std::uint16_t blocks) {
  Command command = lab.command(channel, cdb::write_10(0, blocks));
  command.out = direct(out.at(0, blocks * block()));
  return command;
}

Command Workbench::inquiry(std::uint16_t allocation) {
  Command command = lab.command(channel, cdb::inquiry(allocation));
  command.in = direct(in.at(0, allocation));
  return command;
}

void Workbench::must_have_read(std::size_t bytes) {
  Bytes expected(in.size(), filler);
  std::copy_n(content_.begin(), bytes, expected.begin());
  const std::ptrdiff_t at = difference(expected, in.view(0, in.size()));
  if (at < 0) return;
  fail("byte ", at, " of the data-in buffer is ",
       static_cast<std::size_t>(at) < bytes ? "not the disk's"
                                            : "written, beyond what is the command's");
}

void Workbench::must_have_written(std::size_t bytes) {
  Bytes expected = content_;
  std::ranges::copy(out.view(0, bytes), expected.begin());
  const std::ptrdiff_t at = difference(expected, lab.read(channel, 0, expected.size()));
  if (at < 0) return;
  fail("byte ", at, " of the disk is ",
       static_cast<std::size_t>(at) < bytes ? "not what was sent" : "changed, and should not be");
}

}  // namespace conformance
