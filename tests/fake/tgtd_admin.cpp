// tgtd's targets, units, nexuses and drivers, and what an administrator does to them; see tgtd.h.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/fake/scsi.h"
#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

extern "C" void register_bs_module();

namespace srp::fake {

namespace {

int no_init(int, char*) { return 0; }
int no_notify(std::uint64_t, int, tgt::scsi_cmd*) { return 0; }
int no_mgmt_notify(tgt::mgmt_req*) { return 0; }
void no_vpd_update(tgt::scsi_lu*, void*) {}

// iSCSI knows none of our targets.
int foreign_update(int mode, int, int, std::uint64_t, std::uint64_t, std::uint32_t, char* name) {
  if (mode != tgt::MODE_SYSTEM || name == nullptr) return tgt::TGTADM_NO_TARGET;
  char* value = std::strchr(name, '=');
  return value != nullptr ? tgt::system_set_state(value + 1) : tgt::TGTADM_INVALID_REQUEST;
}
int foreign_show(int, int, std::uint64_t, std::uint32_t, std::uint64_t, tgt::concat_buf*) {
  return tgt::TGTADM_NO_TARGET;
}
void foreign_destroy(int, int) {}

// The driver that tgtd has before any module: requests without --lld go to it.
tgt::tgt_driver* iscsi(bool answers) {
  static tgt::tgt_driver driver{};
  driver = {};
  if (answers) {
    driver.update = foreign_update;
    driver.show = driver.stat = foreign_show;
    driver.target_destroy = foreign_destroy;
  }
  driver.name = "iscsi";
  driver.drv_state = tgt::DRIVER_INIT;
  driver.init = no_init;
  driver.cmd_end_notify = no_notify;
  driver.mgmt_end_notify = no_mgmt_notify;
  driver.default_bst = "rdwr";
  list_init(driver.target_list);
  return &driver;
}

tgt::backingstore_template rdwr{"rdwr"};
tgt::backingstore_template null_store_template{"null"};

constexpr std::pair<unsigned, std::uint16_t> vpd_pages[] = {
    {0x00, 36}, {0x03, 72}, {0x30, 60}, {0x31, 60}, {0x32, 4}};

tgt::vpd* new_vpd(std::uint16_t size) {
  auto* page = static_cast<tgt::vpd*>(std::calloc(1, sizeof(tgt::vpd) + size));
  page->size = size;
  page->vpd_update = no_vpd_update;
  return page;
}

}  // namespace

Lu* Target::find_lu(std::uint64_t lun) const {
  for (const auto& lu : lus) {
    if (lu->lun == lun) return lu.get();
  }
  return nullptr;
}

Nexus* Target::find_nexus(std::uint64_t id) const {
  for (const auto& nexus : nexuses) {
    if (nexus->itn_id == id) return nexus.get();
  }
  return nullptr;
}

Tgtd::Tgtd() {
  list_init(scheduled_);
  tgt::tgt_drivers[0] = iscsi(false);
  tgt::tgt_drivers[1] = nullptr;
}

Tgtd::~Tgtd() {
  while (scheduled_.next != &scheduled_) {  // the driver's event outlives its worlds
    tgt::list_head* link = scheduled_.next;
    reinterpret_cast<tgt::event_data*>(reinterpret_cast<char*>(link) -
                                       offsetof(tgt::event_data, e_list))
        ->scheduled = 0;
    list_del(*link);
  }
  for (auto& target : targets) {
    for (auto& lu : target->lus) {
      for (tgt::vpd* page : lu->attrs.lu_vpd) std::free(page);
    }
  }
}

Target* Tgtd::find_target(int tid) const {
  for (const auto& target : targets) {
    if (target->tid == tid) return target.get();
  }
  return nullptr;
}

void Tgtd::let_first_driver_answer() { tgt::tgt_drivers[0] = iscsi(true); }

void Tgtd::load_driver() {
  register_bs_module();
  if (driver() == nullptr) fail("register_bs_module() registered no driver");
  if (driver()->drv_state != tgt::DRIVER_INIT) fail("the driver's init failed");
}

void Tgtd::unload_driver() {
  if (!targets.empty()) fail("tgtd ends although there are targets");
  driver()->exit();
  driver()->exit();  // tgtd calls it again after `lld stop`
  driver()->drv_state = tgt::DRIVER_EXIT;
}

bool Tgtd::stop_driver() {
  if (driver()->target_list.next != &driver()->target_list) return false;
  driver()->exit();
  driver()->drv_state = tgt::DRIVER_EXIT;
  return true;
}

void Tgtd::start_driver() {
  list_init(driver()->target_list);
  if (driver()->init(1, nullptr) != 0) fail("the driver's init failed");
  driver()->drv_state = tgt::DRIVER_INIT;
}

Target& Tgtd::create_target(int tid, const std::string& name) {
  targets.push_back(std::make_unique<Target>());
  Target& target = *targets.back();
  target.name_text = name;
  target.name = target.name_text.data();
  target.tid = tid;
  target.lid = 1;
  target.target_state = tgt::SCSI_TARGET_READY;
  for (auto* head :
       {&target.device_list, &target.it_nexus_list, &target.acl_list, &target.iqn_acl_list}) {
    list_init(*head);
  }
  create_lu(target, 0, 0, false);
  if (driver()->target_create) driver()->target_create(&target);
  list_add_tail(target.lld_siblings, driver()->target_list);
  trace("admin: target %d, %s", tid, name.c_str());
  return target;
}

Lu& Tgtd::create_lu(Target& target, std::uint64_t lun, std::uint64_t blocks, bool null_store) {
  auto lu = std::make_unique<Lu>();
  lu->unit = {target.tid, lun};
  lu->lun = lun;
  lu->null_store = null_store;
  lu->wild = lun == wild_lun;
  lu->size = blocks * block_bytes;
  lu->blk_shift = 9;
  lu->bst = null_store ? &null_store_template : &rdwr;
  lu->tgt = &target;
  lu->attrs.device_type = lun == 0 ? 0x0c : 0;
  std::snprintf(lu->attrs.vendor_id, sizeof lu->attrs.vendor_id, "IET");
  std::snprintf(lu->attrs.scsi_id, sizeof lu->attrs.scsi_id, "IET     %04x%04x",
                static_cast<unsigned>(target.tid), static_cast<unsigned>(lun));
  for (const auto& [page, size] : vpd_pages) lu->attrs.lu_vpd[page] = new_vpd(size);
  list_init(lu->registration_list);
  list_init(lu->mode_pages);
  list_init(lu->lu_itl_info_list);
  lu->content.resize(lu->size);
  if (blocks != 0 && !lu->wild) {
    const std::uint64_t number =
        ledger.issue({lu->unit, 0, blocks, -1, 0, 0, 1, "it is the first content"});
    Ledger::fill(lu->content, number, lu->unit, 0);
    ledger.create(lu->unit, number, blocks);
  }
  if (driver()->lu_create) driver()->lu_create(lu.get());
  for (auto& nexus : target.nexuses) {
    for (auto& other : target.lus) nexus->attentions.push_back({other->lun, 0x3f, 0x0e});
  }
  list_add_tail(lu->device_siblings, target.device_list);
  target.lus.push_back(std::move(lu));
  return *target.lus.back();
}

void Tgtd::destroy_lu(Target& target, Lu& lu) {
  for (tgt::vpd*& page : lu.attrs.lu_vpd) {
    std::free(page);
    page = nullptr;
  }
  list_del(lu.device_siblings);
  std::erase_if(target.lus, [&](const auto& one) { return one.get() == &lu; });
}

bool Tgtd::delete_lu(Target& target, std::uint64_t lun) {
  Lu* lu = target.find_lu(lun);
  if (lu == nullptr || lun == 0 || lu->cmd_queue.active_cmd != 0) return false;
  trace("admin: LUN %llu of target %d is deleted", static_cast<unsigned long long>(lun),
        target.tid);
  destroy_lu(target, *lu);
  for (auto& nexus : target.nexuses) {
    for (auto& other : target.lus) nexus->attentions.push_back({other->lun, 0x3f, 0x0e});
  }
  return true;
}

bool Tgtd::delete_target(Target& target, bool force, bool through_driver) {
  if (!force && !target.nexuses.empty()) return false;
  while (!target.lus.empty()) {  // from the highest down; those above a busy one are gone already
    if (target.lus.back()->cmd_queue.active_cmd != 0) return false;
    destroy_lu(target, *target.lus.back());
  }
  trace("admin: target %d is deleted, %s", target.tid, through_driver ? "through us" : "behind us");
  tgt::tgt_driver* asked = through_driver ? driver() : tgt::tgt_drivers[0];
  if (asked->target_destroy != nullptr) asked->target_destroy(target.tid, force);
  list_del(target.lld_siblings);
  std::erase_if(targets, [&](const auto& one) { return one.get() == &target; });
  return true;
}

void Tgtd::set_target_state(Target& target, tgt::scsi_target_state state) {
  target.target_state = static_cast<std::uint32_t>(state);
}

void Tgtd::delete_connections(Target& target) {
  std::vector<std::uint64_t> ids;
  for (const auto& nexus : target.nexuses) ids.push_back(nexus->itn_id);
  for (const std::uint64_t id : ids) {
    driver()->update(tgt::MODE_CONNECTION, tgt::OP_DELETE, target.tid, id, ~std::uint64_t{0}, 1,
                     nullptr);
  }
}

std::string Tgtd::show(int mode, int tid) {
  tgt::concat_buf buffer;
  driver()->show(mode, tid, 0, 0, ~std::uint64_t{0}, &buffer);
  if (mode == tgt::MODE_CONNECTION) {
    driver()->stat(tgt::MODE_CONNECTION, tid, 0, 0, ~std::uint64_t{0}, &buffer);
  }
  return buffer.text;
}

void Tgtd::request_anything() {
  Random& dice = the_world().random;
  const char* const texts[] = {"portal=10.0.0.1", "portal=10.0.0.2:77,[::1]", "*",    "state",
                               "MaxConnections",  "portal=nonsense,,",        "%s%n", ""};
  std::string text = texts[dice.below(std::size(texts))];
  if (!text.empty() && dice.chance(0.3)) {
    dice.pick(text) = static_cast<char>(dice.between(1, 255));
  }
  const int mode = static_cast<int>(dice.below(12));
  const int tid = static_cast<int>(dice.below(5)) - 1;
  const std::uint64_t sid = dice.below(16);
  trace("admin: request of mode %d, target %d, session %llu, \"%s\"", mode, tid,
        static_cast<unsigned long long>(sid), text.c_str());
  tgt::concat_buf buffer;
  switch (dice.below(5)) {
    case 0: driver()->portal_create(text.data()); return;
    case 1: driver()->portal_destroy(text.data()); return;
    case 2:
      driver()->update(mode, static_cast<int>(dice.below(8)), tid, sid, dice.byte(), dice.byte(),
                       dice.chance(0.1) ? nullptr : text.data());
      return;
    case 3: driver()->show(mode, tid, sid, dice.byte(), dice.byte(), &buffer); return;
    default: driver()->stat(mode, tid, sid, dice.byte(), dice.byte(), &buffer);
  }
}

void Tgtd::open_portal() {
  char portal[] = "portal=10.0.0.1";
  driver()->portal_create(portal);
}

int Tgtd::create_nexus(int tid, std::uint64_t id, char* info) {
  Target* target = find_target(tid);
  if (target == nullptr)
    fail("it_nexus_create: there is no target %d, tgtd follows a null pointer", tid);
  if (id == 0) return -EINVAL;
  if (target->find_nexus(id) != nullptr) return -EEXIST;
  if (the_world().happens(Fault::create)) return -ENOMEM;
  target->nexuses.push_back(std::make_unique<Nexus>());
  Nexus& nexus = *target->nexuses.back();
  nexus.itn_id = id;
  nexus.ctime = 1'700'000'000;
  nexus.nexus_target = target;
  nexus.info = info;
  list_init(nexus.cmd_list);
  list_init(nexus.itn_itl_info_list);
  for (auto& lu : target->lus) nexus.attentions.push_back({lu->lun, 0x29, 0});
  trace("tgtd: nexus %llu of target %d", static_cast<unsigned long long>(id), tid);
  return 0;
}

int Tgtd::destroy_nexus(int tid, std::uint64_t id) {
  Target* target = find_target(tid);
  Nexus* nexus = target ? target->find_nexus(id) : nullptr;
  if (nexus == nullptr) return -ENOENT;
  if (nexus->cmd_list.next != &nexus->cmd_list) {
    fail("it_nexus_destroy: tgtd holds commands of nexus %llu",
         static_cast<unsigned long long>(id));
  }
  if (std::strlen(nexus->info) == 0) fail("it_nexus_destroy: the info text is gone");
  trace("tgtd: nexus %llu is destroyed", static_cast<unsigned long long>(id));
  std::erase_if(target->nexuses, [&](const auto& one) { return one.get() == nexus; });
  return 0;
}

void Tgtd::expect_at_rest() const {
  if (!held_.empty()) fail("tgtd holds %zu commands", held_.size());
  for (const auto& target : targets) {
    if (!target->nexuses.empty())
      fail("target %d has %zu nexuses", target->tid, target->nexuses.size());
  }
}

}  // namespace srp::fake
