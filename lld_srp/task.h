// The life of one SRP_TSK_MGMT: abort what it names, wait until that has ended, answer.
//
// tgtd cancels nothing, so "abort" means that the command's response is suppressed and that the
// answer waits for its end; the initiator's memory is then safe to reuse. An answer must come
// before the initiator gives up (5 s): past that it is "failed", and the commands stay suppressed.
#pragma once

#include "lld_srp/iu.h"
#include "lld_srp/session.h"

namespace srp {

class Task : private Session::PendingTask, public QueueHook {
 public:
  using Pool = boost::intrusive::list<Task, boost::intrusive::base_hook<QueueHook>,
                                      boost::intrusive::constant_time_size<false>>;

  // index: of its response buffer in the channel.
  Task(Channel& channel, Session& session, Pool& idle, std::uint32_t index);
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // The request's credit is spent.
  void start(const TaskRequest& request) noexcept;
  void on_responded() noexcept;
  static Task& of_reply(Reply& reply) noexcept { return static_cast<ReplyOf&>(reply).task; }

  // The queue pair is destroyed.
  void drop() noexcept;

 private:
  struct ReplyOf : Reply {
    explicit ReplyOf(Task& t) noexcept : Reply(verbs::WorkKind::task_reply), task(t) {}
    Task& task;
  };
  enum class State : std::uint8_t { idle, waiting, responding };

  static const Session::PendingTask::Owner task_owner;

  void abort_task() noexcept;
  void abort_on_unit() noexcept;
  void ask_tgtd() noexcept;
  void reconsider() noexcept;
  void on_managed(int result) noexcept;
  void expire() noexcept;
  void answer(wire::RspCode code) noexcept;
  [[nodiscard]] bool concerns(const TaskSet::Entry& entry) const noexcept {
    return concerns(entry.tag, entry.lun);
  }
  [[nodiscard]] bool concerns(const wire::Tag& tag, LunNumber lun) const noexcept;
  void drop_parked() noexcept;
  void end() noexcept;

  Channel& channel_;
  Session& session_;
  Pool& idle_;
  std::uint32_t index_;
  State state_ = State::idle;
  TaskRequest request_{};
  LunNumber lun_ = lun_invalid;
  bool tgtd_wanted_ = false;  // tgtd has its part in this, and has not done it yet
  bool tgtd_asked_ = false;
  ReplyOf reply_;
};

}  // namespace srp
