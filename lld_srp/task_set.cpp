#include "lld_srp/task_set.h"

#include "plugin_api/log.h"

namespace srp {

LunNumber decode_lun(const wire::Lun& lun) noexcept {
  constexpr wire::Lun report_luns_well_known = {0xc1, 0x01};
  if (lun == report_luns_well_known) return 0;
  for (std::size_t i = 2; i < lun.size(); ++i) {
    if (lun[i] != 0) return lun_invalid;  // a further level: there is nothing below a unit of ours
  }
  switch (lun[0] >> 6) {
    case 0:  // peripheral
    case 1:  // flat space
      return LunNumber{lun[0] & 0x3fU} << 8 | lun[1];
    default: return lun_invalid;
  }
}

wire::Lun encode_lun(LunNumber lun) noexcept {
  if (lun == lun_invalid) return {0xff, 0xff};
  wire::Lun encoded{};
  encoded[0] = static_cast<std::uint8_t>(lun < 256 ? 0 : 0x40 | lun >> 8);
  encoded[1] = static_cast<std::uint8_t>(lun);
  return encoded;
}

void TaskSet::insert(Entry& entry) noexcept {
  entry.aborted_ = entry.in_tgtd_ = entry.held_ = entry.admitted_ = entry.over_ = false;
  entries_.push_back(entry);
  ++size_;
  if (entry.attribute != wire::TaskAttribute::simple) ++barriers_;
}

void TaskSet::erase(Entry& entry) noexcept {
  SRP_ASSERT(entry.is_linked());
  finish(entry);
  entry.unlink();
  --size_;
  if (entry.held_) --held_;
  entry.held_ = false;
}

void TaskSet::finish(Entry& entry) noexcept {
  if (entry.aborted_ && entry.in_tgtd_) --abandoned_;
  entry.in_tgtd_ = false;
  if (!entry.over_ && entry.attribute != wire::TaskAttribute::simple) --barriers_;
  entry.over_ = true;
}

void TaskSet::hold(Entry& entry) noexcept {
  entry.held_ = true;
  ++held_;
}

bool TaskSet::begin(Entry& entry) noexcept {
  if (barriers_ == 0 || is_turn_of(entry)) [[likely]] {
    return true;
  }
  hold(entry);
  return false;
}

// Whoever was aborted is waited for at the second gate, if tgtd has him, or not at all.
bool TaskSet::is_turn_of(const Entry& entry) const noexcept {
  using Attribute = wire::TaskAttribute;
  if (entry.attribute == Attribute::head_of_queue) return true;
  for (const Entry& older : entries_) {
    if (&older == &entry) return true;
    if (older.lun != entry.lun || older.over_ || older.aborted_) continue;
    if (entry.attribute == Attribute::ordered || older.attribute != Attribute::simple) return false;
  }
  return true;
}

bool TaskSet::admit(Entry& entry, bool fenced) noexcept {
  if (fenced || abandoned_on(entry.lun)) [[unlikely]] {
    entry.admitted_ = true;
    hold(entry);
    return false;
  }
  entry.in_tgtd_ = true;
  return true;
}

void TaskSet::abort(Entry& entry) noexcept {
  if (!entry.aborted_) {
    entry.aborted_ = true;
    if (entry.in_tgtd_) ++abandoned_;
  }
  entry.owner_.abort(entry);  // may erase it
}

bool TaskSet::abandoned_on(LunNumber lun) const noexcept {
  if (abandoned_ == 0) return false;
  return count_if([lun](const Entry& entry) {
           return entry.aborted_ && entry.in_tgtd_ && entry.lun == lun;
         }) != 0;
}

}  // namespace srp
