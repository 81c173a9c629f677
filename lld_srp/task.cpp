#include "lld_srp/task.h"

#include <algorithm>
#include <string>

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

std::string text_of(LunNumber lun) {
  return lun == lun_invalid ? std::string{"nowhere"} : std::to_string(lun);
}

}  // namespace

const Session::PendingTask::Owner Task::task_owner = {
    [](PendingTask& task) noexcept { static_cast<Task&>(task).reconsider(); },
    [](PendingTask& task, int result) noexcept { static_cast<Task&>(task).on_managed(result); },
    [](PendingTask& task) noexcept { static_cast<Task&>(task).expire(); },
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
  tgtd_wanted_ = tgtd_asked_ = false;
  state_ = State::waiting;
  session_.add(*this);
  ++session_.stats().tasks;
  trace(Trace::task, "%s: %s, unit %s", session_.initiator_name().c_str(),
        name_of(request.function), text_of(lun_).c_str());
  switch (request.function) {
    case wire::TaskFunction::abort_task: return abort_task();
    case wire::TaskFunction::abort_task_set:
    case wire::TaskFunction::clear_task_set:
    case wire::TaskFunction::lun_reset: return abort_on_unit();
    case wire::TaskFunction::clear_aca:  // there is never such a condition
      break;
  }
  answer(wire::RspCode::unsupported);
}

bool Task::concerns(const wire::Tag& tag, LunNumber lun) const noexcept {
  if (request_.function == wire::TaskFunction::abort_task) return tag == request_.task_tag;
  return lun == lun_;
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

// ABORT TASK SET is ours alone: tgtd would abort on all units. The other two concern all nexuses:
// tgtd tells them, clears reservations, and waits for the commands that it has of anybody.
void Task::abort_on_unit() noexcept {
  tgt::target* target = tgt::find_target(session_.nexus().tid());
  const tgt::scsi_lu* const lu = target != nullptr ? tgt::find_lu(*target, lun_) : nullptr;
  // tgtd would report success for a unit that does not exist.
  if (lu == nullptr) return answer(wire::RspCode::failed);
  (void)session_.tasks().abort_if([this](const TaskSet::Entry& entry) { return concerns(entry); });
  drop_parked();
  // Of pass-through units tgtd knows no commands, and would keep unit attentions that nobody asks
  // for, one more each time.
  tgtd_wanted_ =
      request_.function != wire::TaskFunction::abort_task_set && !tgt::is_passthrough(*lu);
  reconsider();
}

void Task::ask_tgtd() noexcept {
  tgtd_asked_ = session_.unit_tasks().begin(lun_, id);
  if (!tgtd_asked_)
    return;  // another one is under way: reconsider() comes when it is over, or time
  std::uint8_t lun[8];
  std::ranges::copy(encode_lun(lun_), lun);
  const auto function = request_.function == wire::TaskFunction::lun_reset ? tgt::LOGICAL_UNIT_RESET
                                                                           : tgt::CLEAR_TASK_SET;
  // on_managed() may come within the call, and the task may be over after it.
  if (session_.nexus().manage(id, function, lun) != tgt::Managed::failed) return;
  session_.unit_tasks().end(id);
  if (tgtd_wanted_) answer(wire::RspCode::failed);
}

void Task::on_managed(int) noexcept {
  tgtd_wanted_ = false;
  reconsider();
}

void Task::reconsider() noexcept {
  if (state_ != State::waiting) return;
  if (tgtd_wanted_ && !tgtd_asked_) ask_tgtd();
  if (state_ != State::waiting || tgtd_wanted_) return;
  const bool left = session_.tasks().count_if([this](const TaskSet::Entry& entry) {
    return entry.aborted() && concerns(entry);
  }) != 0;
  if (!left) answer(wire::RspCode::complete);
}

// After the answer nothing may reach the initiator of the commands that it names. What tgtd has of
// them is suppressed. A response that another channel could not send in all this time would come
// later: that channel has to go.
void Task::expire() noexcept {
  for (Channel* channel : session_.channels()) {
    if (channel == &channel_) continue;  // sends in order
    const auto stuck = [this, channel](const TaskSet::Entry& entry) {
      return entry.origin == channel && entry.aborted() && entry.over() && concerns(entry);
    };
    if (session_.tasks().count_if(stuck) != 0) {
      channel->fail("it cannot send the responses of aborted commands");
    }
  }
  answer(wire::RspCode::failed);
}

void Task::answer(wire::RspCode code) noexcept {
  if (state_ != State::waiting) return;
  trace(Trace::task, "%s: %s of unit %s ends with code %u", session_.initiator_name().c_str(),
        name_of(request_.function), text_of(lun_).c_str(), static_cast<unsigned>(code));
  PendingTask::unlink();
  state_ = State::responding;
  if (channel_.failed()) return;  // drop() ends it
  channel_.credits().earn();
  reply_.iu = channel_.response_iu(index_);
  reply_.solicited = wants_solicited(request_.solnt, code == wire::RspCode::complete);
  reply_.iu_bytes = static_cast<std::uint32_t>(
      build_task_rsp({reply_.iu, channel_.sizes().response_bytes},
                     {request_.tag, channel_.credits().announce(), reply_.solicited}, code));
  if (code == wire::RspCode::failed) {
    log_notice("%s: %s of unit %s failed", session_.initiator_name().c_str(),
               name_of(request_.function), text_of(lun_).c_str());
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
