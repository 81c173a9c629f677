#include "lld_srp/task.h"

#include <algorithm>

#include "lld_srp/limits.h"
#include "plugin_api/log.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

std::uint64_t last_task_id;  // tgtd's request ids: never reused, so that a late answer finds nobody

const char* name_of(wire::TaskFunction function) noexcept {
  switch (function) {
    case wire::TaskFunction::abort_task: return "ABORT TASK";
    case wire::TaskFunction::abort_task_set: return "ABORT TASK SET";
    case wire::TaskFunction::clear_task_set: return "CLEAR TASK SET";
    case wire::TaskFunction::lun_reset: return "LUN RESET";
    case wire::TaskFunction::clear_aca: return "CLEAR ACA";
  }
  return "reserved function";
}

}  // namespace

const Session::PendingTask::Owner Task::task_owner = {
    [](PendingTask& task) noexcept { static_cast<Task&>(task).reconsider(); },
    [](PendingTask& task, int result) noexcept { static_cast<Task&>(task).on_managed(result); },
    [](PendingTask& task) noexcept { static_cast<Task&>(task).answer(wire::RspCode::failed); },
};

Task::Task(Channel& channel, Session& session, Pool& idle, std::uint32_t index)
    : PendingTask(task_owner),
      channel_(channel),
      session_(session),
      idle_(idle),
      index_(index),
      reply_(*this) {
  idle_.push_front(*this);
}

Task::~Task() { SRP_ASSERT(state_ == State::idle); }

void Task::start(const TaskRequest& request) noexcept {
  request_ = request;
  lun_ = decode_lun(request.lun);
  id = ++last_task_id;
  ticks_left = task_answer_s_max * ticks_per_second;
  tgtd_pending_ = false;
  state_ = State::waiting;
  session_.add(*this);
  ++session_.stats().tasks;
  log_debug("%s: %s, unit %llu", session_.initiator_name().c_str(), name_of(request.function),
            static_cast<unsigned long long>(lun_));
  switch (request.function) {
    case wire::TaskFunction::abort_task: return abort_task();
    case wire::TaskFunction::lun_reset: return reset_unit();
    default: return answer(wire::RspCode::unsupported);
  }
}

bool Task::concerns(const wire::Tag& tag, LunNumber lun) const noexcept {
  if (request_.function == wire::TaskFunction::lun_reset) return lun == lun_;
  return tag == request_.task_tag;
}

// Commands that have come but wait for a context are in no task set yet. On the task's own channel
// those have come after it.
void Task::drop_parked() noexcept {
  for (Channel* channel : session_.channels()) {
    if (channel == &channel_) continue;
    channel->drop_parked([this](Iu iu) {
      if (classify(iu) != wire::Opcode::cmd) return false;
      const CmdAddress address = address_of_cmd(iu);
      return concerns(address.tag, decode_lun(address.lun));
    });
  }
}

// Linux aborts on the command's own channel. An equal tag on another one may be another command,
// since tags of tasks repeat there: look further only if nothing is found here.
void Task::abort_task() noexcept {
  TaskSet& tasks = session_.tasks();
  const auto here = [this](const TaskSet::Entry& entry) {
    return concerns(entry) && entry.origin == &channel_;
  };
  if (tasks.abort_if(here) == 0) {
    (void)tasks.abort_if([this](const TaskSet::Entry& entry) { return concerns(entry); });
    drop_parked();
  }
  reconsider();  // nothing found: the command is over, which is what was asked for
}

void Task::reset_unit() noexcept {
  tgt::target* target = tgt::find_target(session_.nexus().tid());
  // tgtd would report success for a unit that does not exist.
  if (target == nullptr || tgt::find_lu(*target, lun_) == nullptr) {
    return answer(wire::RspCode::failed);
  }
  (void)session_.tasks().abort_if([this](const TaskSet::Entry& entry) { return concerns(entry); });
  drop_parked();
  tgtd_pending_ = true;
  std::uint8_t lun[8];
  std::ranges::copy(encode_lun(lun_), lun);
  // tgtd clears reservations, tells every nexus, and waits for the commands of all of them.
  if (session_.nexus().manage(id, tgt::LOGICAL_UNIT_RESET, lun) == tgt::Managed::failed &&
      tgtd_pending_) {
    return answer(wire::RspCode::failed);
  }
  reconsider();
}

void Task::on_managed(int) noexcept {
  tgtd_pending_ = false;
  reconsider();
}

void Task::reconsider() noexcept {
  if (state_ != State::waiting || tgtd_pending_) return;
  const bool left = session_.tasks().count_if([this](const TaskSet::Entry& entry) {
    return entry.aborted() && concerns(entry);
  }) != 0;
  if (!left) answer(wire::RspCode::complete);
}

void Task::answer(wire::RspCode code) noexcept {
  if (state_ != State::waiting) return;
  PendingTask::unlink();
  state_ = State::responding;
  if (channel_.failed()) return;  // drop() ends it
  channel_.credits().earn();
  reply_.iu = channel_.response_iu(index_);
  reply_.iu_bytes =
      static_cast<std::uint32_t>(build_task_rsp({reply_.iu, channel_.sizes().response_bytes},
                                                request_.tag, channel_.credits().announce(), code));
  if (code == wire::RspCode::failed) {
    log_notice("%s: %s of unit %llu failed", session_.initiator_name().c_str(),
               name_of(request_.function), static_cast<unsigned long long>(lun_));
  }
  channel_.reply(reply_);
}

void Task::on_responded() noexcept { end(); }

void Task::drop() noexcept {
  if (state_ != State::idle) end();
}

void Task::end() noexcept {
  static_cast<Session::PendingTask&>(*this).unlink();
  state_ = State::idle;
  idle_.push_front(*this);
}

}  // namespace srp
