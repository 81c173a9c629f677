#include "lld_srp/session.h"

#include <algorithm>

#include "lld_srp/address.h"

namespace srp {

namespace {

// What tgtadm shows of the nexus. tgt-admin and the distribution's scripts look for "Connection:"
// and paste its number into a shell; no line may begin like one of tgtadm's own headings.
std::string nexus_info(const InitiatorIdentity& initiator, const std::string& name) {
  return "            Initiator: " + name + " alias: none\n" + "            Connection: 1\n" +
         "                RDMA IP Address: " + to_string(initiator.address) + "\n";
}

}  // namespace

Session::Session(int tid, std::uint64_t nexus_id, const InitiatorIdentity& initiator,
                 tgt::UnitTasks& unit_tasks, EventLoop& loop, Job& idle)
    : loop_(loop),
      idle_(idle),
      initiator_(initiator),
      initiator_name_(to_string(initiator.port_id)),
      info_(nexus_info(initiator, initiator_name_)),
      nexus_(tid, nexus_id, info_.data()),
      stamp_(tgt::stamp_of(tid, nexus_id)),
      unit_tasks_(unit_tasks),
      change_([](void* self) noexcept { static_cast<Session*>(self)->on_change(); }, this) {}

Session::~Session() { SRP_ASSERT(channels_.empty() && tasks_.empty() && pending_tasks_.empty()); }

void Session::note_lost_channel(const char* why) noexcept {
  lost_channel_ = why;
  lost_at_ = std::time(nullptr);
}

void Session::attach(Channel& channel) { channels_.push_back(&channel); }

void Session::detach(Channel& channel) noexcept {
  std::erase(channels_, &channel);
  if (!channels_.empty()) return;
  draining_ = true;
  loop_.defer(change_);
}

void Session::close(const char* why) noexcept {
  draining_ = true;
  for (Channel* channel : channels_) channel->fail(why);
}

void Session::dismiss(const char* why, wire::LogoutReason reason) noexcept {
  draining_ = true;
  for (Channel* channel : channels_) channel->leave(why, reason);
}

bool Session::live() const noexcept {
  const auto closing = [](const Channel* channel) { return channel->closing(); };
  return !draining_ && (channels_.empty() || !std::ranges::all_of(channels_, closing));
}

bool Session::fenced(LunNumber lun) const noexcept {
  return std::any_of(predecessors_.begin(), predecessors_.end(), [lun](const Session* old) {
    return old->tasks_.count_if([lun](const TaskSet::Entry& entry) {
      return entry.in_tgtd() && entry.lun == lun;
    }) != 0;
  });
}

void Session::predecessor_gone(const Session& old) noexcept {
  if (std::erase(predecessors_, &old) != 0) loop_.defer(change_);
}

void Session::end(TaskSet::Entry& entry) noexcept {
  const bool watched = tasks_.watched() || draining_ || !pending_tasks_.empty();
  tasks_.erase(entry);
  if (watched) [[unlikely]] {
    loop_.defer(change_);
  }
}

void Session::on_change() noexcept {
  for (auto it = pending_tasks_.begin(); it != pending_tasks_.end();) {
    PendingTask& task = *it++;
    task.owner_.reconsider(task);
  }
  tasks_.release_held([this](LunNumber lun) { return fenced(lun); });
  if (done()) loop_.defer(idle_);
}

bool Session::on_managed(std::uint64_t id, int result) noexcept {
  for (PendingTask& task : pending_tasks_) {
    if (task.id != id) continue;
    task.owner_.managed(task, result);
    return true;
  }
  return false;
}

void Session::on_tick() noexcept {
  for (auto it = pending_tasks_.begin(); it != pending_tasks_.end();) {
    PendingTask& task = *it++;
    if (task.ticks_left > 0 && --task.ticks_left == 0) task.owner_.expired(task);
  }
  // Successors ask again, since a predecessor tells them only when it is gone altogether.
  if (tasks_.watched() && !predecessors_.empty()) loop_.defer(change_);
}

}  // namespace srp
