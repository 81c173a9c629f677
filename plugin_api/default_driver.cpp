#include "plugin_api/default_driver.h"

#include "plugin_api/target_view.h"

namespace srp::tgt {

namespace {

// iSCSI's own callbacks. They stay here when ours are taken out again, since somebody who has put
// his in front of ours may go on calling them.
tgt_driver original{};
const DefaultDriver::Callbacks* callbacks;
bool serving;  // a request of ours that came to iSCSI

bool is_ours(int tid) noexcept {
  return callbacks != nullptr && callbacks->wanted() && find_target(tid) != nullptr;
}

int on_update(int mode, int op, int tid, std::uint64_t sid, std::uint64_t lun, std::uint32_t cid,
              char* name) {
  if (mode != MODE_SYSTEM && is_ours(tid)) {
    serving = true;
    const int updated = driver_table.update(mode, op, tid, sid, lun, cid, name);
    serving = false;
    return updated;
  }
  const int result = original.update(mode, op, tid, sid, lun, cid, name);
  if (mode == MODE_SYSTEM && callbacks != nullptr) callbacks->system_updated();
  return result;
}

int on_show(int mode, int tid, std::uint64_t sid, std::uint32_t cid, std::uint64_t lun,
            concat_buf* out) {
  const bool ours = mode != MODE_SYSTEM && is_ours(tid);
  return (ours ? driver_table : original).show(mode, tid, sid, cid, lun, out);
}

int on_stat(int mode, int tid, std::uint64_t sid, std::uint32_t cid, std::uint64_t lun,
            concat_buf* out) {
  return (is_ours(tid) ? driver_table : original).stat(mode, tid, sid, cid, lun, out);
}

void on_target_destroy(int tid, int force) {
  (is_ours(tid) ? driver_table : original).target_destroy(tid, force);
}

// A callback that the driver does not have is none of ours either. What was there is saved once:
// later it may be somebody's who calls ours.
template <class Function>
void put(Function& slot, Function& saved, Function ours) noexcept {
  if (slot == nullptr || slot == ours) return;
  if (saved == nullptr) saved = slot;
  if (slot == saved) slot = ours;
}

template <class Function>
void restore(Function& slot, Function saved, Function ours) noexcept {
  if (slot == ours) slot = saved;
}

}  // namespace

DefaultDriver::DefaultDriver(const Callbacks& ours) noexcept {
  callbacks = &ours;
  tgt_driver* first = tgt_drivers[0];
  if (first == nullptr || first == &driver_table) return;
  put(first->update, original.update, on_update);
  put(first->show, original.show, on_show);
  put(first->stat, original.stat, on_stat);
  put(first->target_destroy, original.target_destroy, on_target_destroy);
}

bool DefaultDriver::in_request() noexcept { return serving; }

DefaultDriver::~DefaultDriver() {
  callbacks = nullptr;
  tgt_driver* first = tgt_drivers[0];
  if (first == nullptr) return;
  restore(first->update, original.update, on_update);
  restore(first->show, original.show, on_show);
  restore(first->stat, original.stat, on_stat);
  restore(first->target_destroy, original.target_destroy, on_target_destroy);
}

}  // namespace srp::tgt
