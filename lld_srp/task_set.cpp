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
  entry.aborted_ = entry.in_tgtd_ = entry.held_ = false;
  entries_.push_back(entry);
  ++size_;
}

void TaskSet::erase(Entry& entry) noexcept {
  SRP_ASSERT(entry.is_linked());
  entry.unlink();
  --size_;
  if (entry.held_) --held_;
  entry.held_ = false;
  left_tgtd(entry);
}

void TaskSet::left_tgtd(Entry& entry) noexcept {
  if (entry.aborted_ && entry.in_tgtd_) --abandoned_;
  entry.in_tgtd_ = false;
}

bool TaskSet::admit(Entry& entry, bool fenced) noexcept {
  if (fenced || abandoned_on(entry.lun)) [[unlikely]] {
    entry.held_ = true;
    ++held_;
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
