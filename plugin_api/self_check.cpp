#include "plugin_api/self_check.h"

#include <cctype>
#include <cstring>
#include <string_view>

#include "plugin_api/target_view.h"

namespace srp::tgt {

namespace {

bool circular(const list_head& head) noexcept {
  constexpr int elements_max = 100000;
  const list_head* link = &head;
  for (int i = 0; i < elements_max; ++i) {
    const list_head* next = link->next;
    if (next == nullptr || next->prev != link) return false;
    if (next == &head) return true;
    link = next;
  }
  return false;
}

bool is_empty(const list_head& head) noexcept { return head.next == &head && head.prev == &head; }

bool printable(const char* text) noexcept {
  constexpr int length_max = 32;
  for (int i = 0; i < length_max; ++i) {
    if (text[i] == '\0') return i != 0;
    if (std::isprint(static_cast<unsigned char>(text[i])) == 0) return false;
  }
  return false;
}

}  // namespace

const char* check_host() noexcept {
  const tgt_driver* first = tgt_drivers[0];
  if (first == nullptr) return "no built-in driver";
  if (first->name == nullptr || !printable(first->name)) return "tgt_driver.name";
  if (first->drv_state > DRIVER_EXIT) return "tgt_driver.drv_state";
  if (!first->init || !first->cmd_end_notify || !first->mgmt_end_notify) return "tgt_driver";
  if (!first->default_bst || std::string_view{first->default_bst} != "rdwr") {
    return "tgt_driver.default_bst";
  }
  if (!circular(first->target_list)) return "tgt_driver.target_list";

  // tgtd reads the state of a driver and the length of a command from structs that we laid out.
  tgt_driver probe{};
  probe.drv_state = DRIVER_INIT;
  const char* state = driver_state_name(&probe);
  if (state == nullptr || std::strcmp(state, "ready") != 0) return "tgt_driver.drv_state";
  std::uint8_t read10[16] = {0x28};
  std::uint8_t vendor[16] = {0xc0};
  scsi_cmd cmd{};
  cmd.scb = read10;
  cmd.scb_len = 16;
  if (get_scsi_cdb_size(&cmd) != 10) return "scsi_cmd.scb";
  cmd.scb = vendor;
  cmd.scb_len = 13;
  if (get_scsi_cdb_size(&cmd) != 13) return "scsi_cmd.scb_len";
  return nullptr;
}

const char* check_target(const target& t, int driver_index) noexcept {
  if (t.lid != driver_index || t.tid <= 0) return "target.lid, target.tid";
  if (t.name == nullptr) return "target.name";
  if (!is_empty(t.it_nexus_list) || !is_empty(t.acl_list) || !is_empty(t.iqn_acl_list)) {
    return "target.acl_list";
  }
  if (!circular(t.device_list)) return "target.device_list";
  auto& device_list = const_cast<list_head&>(t.device_list);
  const scsi_lu* first = find_in_list<scsi_lu>(device_list, offsetof(scsi_lu, device_siblings),
                                               [](const scsi_lu&) { return true; });
  if (first == nullptr || first->lun != 0 || first->tgt != &t) return "scsi_lu";
  return nullptr;
}

}  // namespace srp::tgt
