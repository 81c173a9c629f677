// The module as tgtd sees it: its entry, the table of callbacks, and the checks before both are
// used. Callbacks do nothing here but cross the edge from C.

#include <infiniband/verbs.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "lld_srp/admin.h"
#include "lld_srp/command.h"
#include "lld_srp/driver.h"
#include "lld_srp/screen.h"
#include "lld_srp/unit_identity.h"
#include "plugin_api/edge.h"
#include "plugin_api/self_check.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

// SPC version descriptors.
constexpr std::uint16_t version_iscsi = 0x0960;
constexpr std::uint16_t version_srp = 0x0940;

// A plain pointer: tgtd calls exit() from error paths, with everything alive, and nothing may run
// then.
Driver* driver;
int own_index = -1;
char start_failure[128];  // why there is no driver

int on_init(int index, char*) noexcept {
  own_index = index;
  if (driver != nullptr) return 0;
  // A failure would end the whole service, since tgt-admin gives up at the first error; show tells
  // it.
  try {
    driver = std::make_unique<Driver>().release();
  } catch (const std::exception& error) {
    std::snprintf(start_failure, sizeof start_failure, "%s", error.what());
    log_error("the driver cannot start: %s", start_failure);
  }
  return 0;
}

// Also called when init failed, and a second time after --op stop.
void on_exit() noexcept {
  const std::unique_ptr<Driver> last{driver};
  driver = nullptr;
}

int on_target_create(tgt::target* target) noexcept {
  return at_the_edge("create target", -EINVAL, [target] {
    if (const char* wrong = tgt::check_target(*target, own_index)) {
      log_error("this tgtd is laid out differently (%s): target %d is not served", wrong,
                target->tid);
      return -EINVAL;
    }
    if (driver != nullptr) driver->ports().add(*target);
    return 0;
  });
}

void on_target_destroy(int tid, int) noexcept {
  if (driver != nullptr) driver->remove_target(tid);
}

int on_portal_create(char* params) noexcept {
  return at_the_edge("create portal", -EINVAL, [params] {
    return driver != nullptr && admin::create_portals(*driver, params) ? 0 : -EINVAL;
  });
}

int on_portal_destroy(char* params) noexcept {
  return at_the_edge("delete portal", -EINVAL, [params] {
    return driver != nullptr && admin::destroy_portals(*driver, params) ? 0 : -EINVAL;
  });
}

void identify(tgt::scsi_lu& lu) {
  if (driver == nullptr || lu.tgt == nullptr || lu.tgt->name == nullptr) return;
  const std::string target = lu.tgt->name;
  if (driver->config().settings.unique_scsi_ids) make_unique(lu, driver->ports().host(), target);
  const PortIdentity identity = driver->ports().identity_of(target);
  // The device's GUID is not known yet, and no name is better than a wrong one.
  if (!identity.by_node_guid) name_target_port(lu, identity.id);
}

// INQUIRY says iSCSI for every driver's units, and that a command may be of any length.
int on_lu_create(tgt::scsi_lu* lu) noexcept {
  if (lu->attrs.version_desc[1] == version_iscsi) lu->attrs.version_desc[1] = version_srp;
  if (const char* why = why_not_served(*lu)) {
    log_error("unit %llu of target %d, %s: %s", static_cast<unsigned long long>(lu->lun),
              lu->tgt->tid, tgt::bs_name(*lu).data(), why);
  }
  constexpr unsigned block_limits = 0xb0 & 0x7f;
  constexpr unsigned maximum_transfer_length = 4;  // within the page's parameters
  tgt::vpd* page = lu->attrs.lu_vpd[block_limits];
  if (driver != nullptr && page != nullptr && page->size >= maximum_transfer_length + 4) {
    const wire::Be32 blocks = (driver->config().settings.command_mib_max << 20) >> lu->blk_shift;
    std::memcpy(page->data + maximum_transfer_length, &blocks, sizeof blocks);
  }
  return at_the_edge("create unit", 0, [lu] {
    identify(*lu);
    return 0;
  });
}

int on_update(int mode, int op, int tid, std::uint64_t sid, std::uint64_t, std::uint32_t,
              char* name) noexcept {
  return at_the_edge("update", int{tgt::TGTADM_UNKNOWN_ERR}, [&]() -> int {
    if (driver == nullptr) return tgt::TGTADM_NO_DRIVER;
    return admin::update(*driver, mode, op, tid, sid, name);
  });
}

int on_show(int mode, int tid, std::uint64_t sid, std::uint32_t, std::uint64_t,
            tgt::concat_buf* out) noexcept {
  return at_the_edge("show", int{tgt::TGTADM_UNKNOWN_ERR}, [&]() -> int {
    if (driver != nullptr) return admin::show(*driver, mode, tid, sid, out);
    if (mode != tgt::MODE_SYSTEM) return tgt::TGTADM_NO_DRIVER;
    tgt::concat_printf(out,
                       "SRP:\n    State: not running: %s; stop and start it: tgtadm --lld srp "
                       "--mode lld --op stop, --op start\n",
                       start_failure);
    return tgt::TGTADM_SUCCESS;
  });
}

int on_stat(int mode, int tid, std::uint64_t sid, std::uint32_t, std::uint64_t,
            tgt::concat_buf* out) noexcept {
  return at_the_edge("stat", int{tgt::TGTADM_UNKNOWN_ERR}, [&]() -> int {
    if (driver == nullptr) return tgt::TGTADM_NO_DRIVER;
    return admin::stat(*driver, mode, tid, sid, out);
  });
}

int on_cmd_end(std::uint64_t, int result, tgt::scsi_cmd* scsi) noexcept {
  Command::of(*scsi).on_executed(result);
  return 0;
}

int on_mgmt_end(tgt::mgmt_req* request) noexcept {
  if (driver != nullptr) driver->ports().on_managed(request->mid, request->result);
  return 0;
}

// SPC TransportID of SRP: format 0, protocol 4, the initiator port identifier in bytes 8 to 23.
int on_transport_id(int tid, std::uint64_t nexus_id, char* buffer, int size) noexcept {
  constexpr int transport_id_bytes = 24;
  const TargetPort* port = driver != nullptr ? driver->ports().find(tid) : nullptr;
  const PortId* id = port != nullptr ? port->initiator_of(nexus_id) : nullptr;
  if (id == nullptr || size < transport_id_bytes) return 0;
  std::memset(buffer, 0, transport_id_bytes);
  buffer[0] = 0x04;
  std::memcpy(buffer + 8, id->data(), id->size());
  return transport_id_bytes;
}

char driver_name[] = "srp";

void fill_table() noexcept {
  tgt::tgt_driver& table = tgt::driver_table;
  table.name = driver_name;
  table.init = on_init;
  table.exit = on_exit;
  table.target_create = on_target_create;
  table.target_destroy = on_target_destroy;
  table.portal_create = on_portal_create;
  table.portal_destroy = on_portal_destroy;
  table.lu_create = on_lu_create;
  table.update = on_update;
  table.show = on_show;
  table.stat = on_stat;
  table.cmd_end_notify = on_cmd_end;
  table.mgmt_end_notify = on_mgmt_end;
  table.transportid = on_transport_id;
  table.default_bst = "rdwr";
}

}  // namespace

}  // namespace srp

// tgtd calls this once for every file in its module directory that exports it.
extern "C" [[gnu::visibility("default")]] void register_bs_module() {
  using namespace srp;
  if (tgt::get_driver_index(driver_name) >= 0) {
    return log_notice("the driver is loaded already: a second copy of the module is ignored");
  }
  if (const char* wrong = tgt::check_host()) {
    return log_error("this tgtd is laid out differently (%s): the driver stays out", wrong);
  }
  // Before any verbs object: tgtd forks. A refusal means that iser was first or that the kernel
  // copies pinned pages by itself.
  (void)ibv_fork_init();
  fill_table();
  const int index = tgt::register_driver(&tgt::driver_table);
  if (index < 0) return log_error("tgtd has no room for another driver");
  (void)tgt::lld_init_one(tgt::get_driver_index(driver_name));
}
