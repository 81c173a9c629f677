// The commands of one I_T nexus that the driver knows of, on whatever channel they came: the place
// where task management finds them, and the gate between them and tgtd.
//
// Order among the commands of a logical unit is kept here too (SAM task attributes), because tgtd
// completes an aborted command twice where it keeps the order itself: an ORDERED command waits for
// all older ones, and a SIMPLE one for older ones that are not SIMPLE. Who has to wait does so
// before he owns any memory, so that those he waits for can always get theirs.
//
// An abandoned command is one whose initiator waits no longer for it (aborted, reset, its channel
// lost) while tgtd still works on it, because tgtd cancels nothing. Until it ends, later commands
// for the same logical unit are held: an old write must not land on top of a newer one.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "lld_srp/wire.h"

namespace srp {

class Channel;

// A logical unit number as its canonical number; see decode_lun().
using LunNumber = std::uint64_t;
inline constexpr LunNumber lun_invalid = ~LunNumber{0};

// SAM addressing: peripheral (also with a bus byte, as old initiators number LUNs above 255) and
// flat space; the REPORT LUNS well-known unit counts as LUN 0. lun_invalid for all else.
LunNumber decode_lun(const wire::Lun& lun) noexcept;
// The one encoding that tgtd sees, since it compares numbers byte by byte.
wire::Lun encode_lun(LunNumber lun) noexcept;

struct TaskSetTag;  // tells this membership from others that a command has

class TaskSet {
 public:
  // One command. Its owner inserts it when it is accepted and erases it when it has ended.
  class Entry : public boost::intrusive::list_base_hook<
                    boost::intrusive::tag<TaskSetTag>,
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    // abort: the command must not answer any more; it ends at once where tgtd does not hold it.
    // proceed: it needs to be held no longer.
    struct Owner {
      void (*abort)(Entry&) noexcept;
      void (*proceed)(Entry&) noexcept;
    };
    explicit Entry(const Owner& owner) noexcept : owner_(owner) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    wire::Tag tag{};
    LunNumber lun = lun_invalid;
    const Channel* origin = nullptr;                              // the channel that it came on
    wire::TaskAttribute attribute = wire::TaskAttribute::simple;  // simple, head_of_queue, ordered

    [[nodiscard]] bool aborted() const noexcept { return aborted_; }
    [[nodiscard]] bool in_tgtd() const noexcept { return in_tgtd_; }
    [[nodiscard]] bool held() const noexcept { return held_; }
    // It will not be executed any more, or has been: its response is on its way.
    [[nodiscard]] bool over() const noexcept { return over_; }

   private:
    friend class TaskSet;
    const Owner& owner_;
    bool aborted_ = false;
    bool in_tgtd_ = false;
    bool held_ = false;
    bool admitted_ = false;  // held at the second gate: the one to tgtd
    bool over_ = false;
  };

  TaskSet() = default;
  // Precondition: empty.
  ~TaskSet() = default;
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;

  void insert(Entry& entry) noexcept;
  void erase(Entry& entry) noexcept;
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // The first gate: is it entry's turn, by its attribute? If not, it is held.
  [[nodiscard]] bool begin(Entry& entry) noexcept;
  // The second: may entry go to tgtd now? Yes: it counts as there until erase(). No: it is held.
  // fenced: a predecessor of this nexus still has abandoned commands on the unit.
  [[nodiscard]] bool admit(Entry& entry, bool fenced) noexcept;
  // The command is over: tgtd has given it back, or does not get it.
  void finish(Entry& entry) noexcept;

  // Lets those held commands proceed that need to wait no longer; is_fenced(lun) as for admit().
  template <class IsFenced>
  void release_held(IsFenced&& is_fenced) noexcept {
    for (auto it = entries_.begin(); held_ != 0 && it != entries_.end();) {
      Entry& entry = *it++;  // proceeding may end the entry
      if (!entry.held_ || entry.aborted_) continue;
      if (entry.admitted_) {
        if (abandoned_on(entry.lun) || is_fenced(entry.lun)) continue;
        entry.in_tgtd_ = true;
      } else if (!is_turn_of(entry)) {
        continue;
      }
      entry.held_ = false;
      --held_;
      entry.owner_.proceed(entry);
    }
  }

  // Aborts the commands for which match(entry) holds; how many that were.
  template <class Match>
  unsigned abort_if(Match&& match) noexcept {
    unsigned count = 0;
    for (auto it = entries_.begin(); it != entries_.end();) {
      Entry& entry = *it++;
      if (!match(entry)) continue;
      ++count;
      abort(entry);
    }
    return count;
  }

  // Commands for which match(entry) holds.
  template <class Match>
  [[nodiscard]] unsigned count_if(Match&& match) const noexcept {
    unsigned count = 0;
    for (const Entry& entry : entries_) count += match(entry) ? 1 : 0;
    return count;
  }

  // tgtd works on an abandoned command of the unit.
  [[nodiscard]] bool abandoned_on(LunNumber lun) const noexcept;
  // Somebody may wait for the end of a command: erasures are worth a look.
  [[nodiscard]] bool watched() const noexcept { return held_ != 0 || abandoned_ != 0; }

 private:
  using Entries =
      boost::intrusive::list<Entry,
                             boost::intrusive::base_hook<boost::intrusive::list_base_hook<
                                 boost::intrusive::tag<TaskSetTag>,
                                 boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
                             boost::intrusive::constant_time_size<false>>;

  void abort(Entry& entry) noexcept;
  void hold(Entry& entry) noexcept;
  [[nodiscard]] bool is_turn_of(const Entry& entry) const noexcept;

  Entries entries_;  // in order of arrival
  std::size_t size_ = 0;
  unsigned held_ = 0;
  unsigned abandoned_ = 0;  // aborted and in tgtd
  unsigned barriers_ = 0;   // not SIMPLE and not over
};

}  // namespace srp
