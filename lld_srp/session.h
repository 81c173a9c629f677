// One I_T nexus: an initiator port logged in to a target port, over one channel or several.
//
// Live while it has a channel; then draining until tgtd has given back its last command, because
// tgtd cancels nothing. A login of the same initiator makes a new session at once, whose commands
// are held where the old one still has some on the same unit. Owned by its TargetPort.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "lld_srp/acl.h"
#include "lld_srp/channel.h"
#include "lld_srp/task_set.h"
#include "plugin_api/nexus.h"
#include "plugin_api/reservations.h"

namespace srp {

// The last command of a session that ended with another status than GOOD.
struct FailedCommand {
  std::time_t at = 0;  // 0: none has
  std::uint64_t lun = 0;
  std::uint8_t opcode = 0;
  std::uint8_t status = 0;  // SAM
  std::uint8_t sense_key = 0;
  std::uint8_t asc = 0;
  std::uint8_t ascq = 0;
};

struct SessionStats {
  std::uint64_t commands = 0;
  std::uint64_t bytes_in = 0;   // to the initiator
  std::uint64_t bytes_out = 0;  // from the initiator
  std::uint64_t tasks = 0;
  std::uint64_t errors = 0;     // commands that ended with another status than GOOD
  std::uint64_t immediate = 0;  // commands that brought their data with them
  std::uint64_t indirect = 0;   // commands with a table of descriptors
  std::uint64_t tables = 0;     // those whose table had to be fetched
  FailedCommand failed;
};

struct PendingTaskTag;

class Session {
 public:
  // A task management function that has not been answered yet.
  class PendingTask : public boost::intrusive::list_base_hook<
                          boost::intrusive::tag<PendingTaskTag>,
                          boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    struct Owner {
      void (*reconsider)(PendingTask&) noexcept;           // commands have ended
      void (*managed)(PendingTask&, int result) noexcept;  // tgtd is done with its part
      void (*expired)(PendingTask&) noexcept;              // no time is left
    };
    explicit PendingTask(const Owner& owner) noexcept : owner_(owner) {}
    PendingTask(const PendingTask&) = delete;
    PendingTask& operator=(const PendingTask&) = delete;

    std::uint64_t id = 0;     // unique; tgtd's request id
    unsigned ticks_left = 0;  // until it must be answered

   private:
    friend class Session;
    const Owner& owner_;
  };

  // Makes the nexus known to tgtd; throws std::system_error. unit_tasks: the target's. idle is
  // deferred when the session is done.
  Session(int tid, std::uint64_t nexus_id, const InitiatorIdentity& initiator,
          tgt::UnitTasks& unit_tasks, EventLoop& loop, Job& idle);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] tgt::Nexus& nexus() noexcept { return nexus_; }
  [[nodiscard]] TaskSet& tasks() noexcept { return tasks_; }
  [[nodiscard]] tgt::UnitTasks& unit_tasks() noexcept { return unit_tasks_; }
  [[nodiscard]] const InitiatorIdentity& initiator() const noexcept { return initiator_; }
  [[nodiscard]] const std::string& initiator_name() const noexcept { return initiator_name_; }
  [[nodiscard]] const std::vector<Channel*>& channels() const noexcept { return channels_; }
  [[nodiscard]] SessionStats& stats() noexcept { return stats_; }
  // What tgtd registers the nexus by.
  [[nodiscard]] const tgt::NexusStamp& stamp() const noexcept { return stamp_; }
  // When it was made, seconds since the epoch.
  [[nodiscard]] std::time_t since() const noexcept { return stamp_.created; }
  // Why the last channel that was lost was, and when; null: none was.
  [[nodiscard]] const char* lost_channel() const noexcept { return lost_channel_; }
  [[nodiscard]] std::time_t lost_at() const noexcept { return lost_at_; }
  // why: a literal.
  void note_lost_channel(const char* why) noexcept;

  void attach(Channel& channel);
  void detach(Channel& channel) noexcept;
  // Fails all channels; the session accepts no more of them. why: a literal.
  void close(const char* why) noexcept;
  // The same with a goodbye, where that is wanted.
  void dismiss(const char* why, wire::LogoutReason reason) noexcept;
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  // A channel may join: it is new, or another one works.
  [[nodiscard]] bool live() const noexcept;
  // Nothing refers to the session any more: it may be destroyed.
  [[nodiscard]] bool done() const noexcept {
    return draining_ && channels_.empty() && tasks_.empty();
  }

  // Commands are held where old still has some on the same unit, until predecessor_gone(old).
  void fence_behind(Session& old) { predecessors_.push_back(&old); }
  void predecessor_gone(const Session& old) noexcept;

  // May entry go to tgtd now? If not, it is told to proceed later.
  [[nodiscard]] bool admit(TaskSet::Entry& entry) noexcept {
    return tasks_.admit(entry, !predecessors_.empty() && fenced(entry.lun));
  }
  // entry is over: it has been executed, or will not be.
  void finish(TaskSet::Entry& entry) noexcept {
    tasks_.finish(entry);
    if (tasks_.watched()) [[unlikely]] {
      loop_.defer(change_);
    }
  }
  // entry has ended: nothing of it is under way any more.
  void end(TaskSet::Entry& entry) noexcept;

  void add(PendingTask& task) noexcept { pending_tasks_.push_back(task); }
  // tgtd's answer to a task; false: not one of ours.
  bool on_managed(std::uint64_t id, int result) noexcept;
  // Tasks that wait for another one's end look again, soon.
  void reconsider_tasks() noexcept {
    if (!pending_tasks_.empty()) loop_.defer(change_);
  }
  void on_tick() noexcept;

 private:
  [[nodiscard]] bool fenced(LunNumber lun) const noexcept;
  void on_change() noexcept;

  using PendingTasks =
      boost::intrusive::list<PendingTask,
                             boost::intrusive::base_hook<boost::intrusive::list_base_hook<
                                 boost::intrusive::tag<PendingTaskTag>,
                                 boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
                             boost::intrusive::constant_time_size<false>>;

  EventLoop& loop_;
  Job& idle_;
  InitiatorIdentity initiator_;
  std::string initiator_name_;
  std::string info_;  // tgtd keeps a pointer to it
  tgt::Nexus nexus_;
  tgt::NexusStamp stamp_;
  tgt::UnitTasks& unit_tasks_;
  TaskSet tasks_;
  PendingTasks pending_tasks_;
  std::vector<Channel*> channels_;
  std::vector<Session*> predecessors_;
  SessionStats stats_;
  const char* lost_channel_ = nullptr;
  std::time_t lost_at_ = 0;
  Job change_;
  bool draining_ = false;
};

}  // namespace srp
