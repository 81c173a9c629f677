#include "plugin_api/nexus.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "plugin_api/log.h"

namespace srp::tgt {

bool UnitTasks::begin(std::uint64_t lun, std::uint64_t request_id) noexcept try {
  const auto same_unit = [lun](const Pending& pending) { return pending.lun == lun; };
  if (std::ranges::any_of(pending_, same_unit)) return false;
  pending_.push_back({lun, request_id});
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

bool UnitTasks::end(std::uint64_t request_id) noexcept {
  return std::erase_if(pending_, [request_id](const Pending& pending) {
           return pending.request_id == request_id;
         }) != 0;
}

Nexus::Nexus(int tid, std::uint64_t id, char* info) : tid_(tid), id_(id) {
  // it_nexus_create() follows a null pointer when the target does not exist.
  if (tgt_get_target_state(tid) < 0) {
    throw std::system_error(ENOENT, std::generic_category(), "it_nexus_create");
  }
  if (const int error = it_nexus_create(tid, id, 0, info)) {
    throw std::system_error(-error, std::generic_category(), "it_nexus_create");
  }
}

Nexus::~Nexus() {
  SRP_ASSERT(in_flight_ == 0);
  const int error = it_nexus_destroy(tid_, id_);
  if (error != 0 && error != -ENOENT) {
    srp::log_error("it_nexus_destroy: target %d, nexus %llu: error %d", tid_,
                   static_cast<unsigned long long>(id_), -error);
  }
}

bool Nexus::alive() const noexcept { return it_nexus_lookup(tid_, id_) != nullptr; }

Submitted Nexus::submit(scsi_cmd& cmd) noexcept {
  cmd.cmd_itn_id = id_;
  // ORDERED and HEAD OF QUEUE make tgtd complete an aborted command twice; their order is kept by
  // us.
  cmd.attribute = MSG_SIMPLE_TAG;
  ++in_flight_;  // before the call: the notification may come inside it
  const int error = target_cmd_queue(tid_, &cmd);
  if (error == 0) return Submitted::accepted;
  --in_flight_;  // never linked: no notification, nothing to retire
  return error == -EBUSY ? Submitted::target_busy : Submitted::nexus_gone;
}

void Nexus::retire(scsi_cmd& cmd) noexcept {
  SRP_ASSERT(in_flight_ > 0);
  --in_flight_;
  target_cmd_done(&cmd);
}

Managed Nexus::manage(std::uint64_t request_id, task_management function,
                      const std::uint8_t (&lun)[8]) noexcept {
  std::uint8_t raw[8];
  for (int i = 0; i < 8; ++i) raw[i] = lun[i];
  const int result = target_mgmt_request(tid_, id_, request_id, function, raw, 0, 0);
  return result == MGMT_REQ_FAILED ? Managed::failed : Managed::pending_or_done;
}

}  // namespace srp::tgt
