// The parts of fuzz_iu.cpp that are about more than the parser: what is made of a command that was
// parsed, and what is answered.
#pragma once

#include "lld_srp/iu.h"
#include "tests/fuzz/check.h"

namespace srp::fuzz {

// The whole walk over descriptors, or the start of a very long one. Precondition: they stand for
// `bytes` bytes at least.
void check_walk(std::span<const wire::MemoryDesc> descriptors, std::uint64_t bytes);

// What a CDB of 16 bytes or more says of its data, on units of all kinds.
void check_cdb(View cdb);

// The plan for a command that was parsed without a fault, on units of all kinds.
void check_plans(const CmdRequest& request);

// The IUs that a target may have to send, with values out of input.
void check_answers(View input);

}  // namespace srp::fuzz
