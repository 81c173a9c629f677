#include "tasks.h"

#include "check.h"

namespace conformance {

TaskManagement task_of(Lab& lab, Channel& channel, std::uint8_t function) {
  TaskManagement task;
  task.tag = channel.next_tag() | Tag{1} << 31;
  task.lun = lab.lun();
  task.function = function;
  task.managed = ~Tag{0};
  return task;
}

std::uint8_t run_task(Channel& channel, const TaskManagement& task) {
  const Response response = channel.run(task.encode());
  check(response.raw.size() == 40 && response.flags == flag::response_valid &&
            response.status == status::good && response.response.size() == 4,
        "not the form of a task's response: ", to_hex(response.raw));
  check(response.out_residual == 0 && response.in_residual == 0, "a task's response has residuals");
  check(get(response.response, 0, 3) == 0,
        "reserved bytes before RSP_CODE: ", to_hex(response.raw));
  return response.response[3];
}

std::uint8_t must_answer(Lab& lab, Channel& channel, const TaskManagement& task,
                         const std::vector<std::uint8_t>& lawful) {
  const std::uint8_t code = run_task(channel, task);
  for (const std::uint8_t each : lawful) {
    if (code == each) return code;
    if (lab.options().strict) break;
  }
  fail("function ", unsigned{task.function}, ": code ", unsigned{code}, ", should be ",
       unsigned{lawful.front()});
}

}  // namespace conformance
