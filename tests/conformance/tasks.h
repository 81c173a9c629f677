// Task management as the cases about it need it.
#pragma once

#include "lab.h"

namespace conformance {

TaskManagement task_of(Lab& lab, Channel& channel, std::uint8_t function);

// Its RSP_CODE. The response must have the only form it may have: 40 bytes, status 0, RSPVALID
// alone.
std::uint8_t run_task(Channel& channel, const TaskManagement& task);

// One of these codes, the first one if --strict.
std::uint8_t must_answer(Lab& lab, Channel& channel, const TaskManagement& task,
                         const std::vector<std::uint8_t>& lawful);

}  // namespace conformance
