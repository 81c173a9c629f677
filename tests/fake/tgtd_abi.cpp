// The functions that tgtd exports to its drivers, over the objects of tgtd.h.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/fake/tgtd.h"
#include "tests/fake/world.h"

namespace srp::tgt {

using fake::the_world;

namespace {

fake::Tgtd& tgtd() noexcept { return *the_world().tgtd; }

void log_line(const char* level, const char* format, std::va_list args) {
  char line[256];
  std::vsnprintf(line, sizeof line, format, args);
  const std::size_t length = std::strlen(line);
  if (length == 0 || line[length - 1] != '\n') fake::fail("a log line without its end: %s", line);
  line[length - 1] = '\0';
  if (std::strstr(line, "assertion failed") != nullptr) fake::fail("%s", line);
  fake::trace("%s: %s", level, line);
}

}  // namespace

extern "C" {

tgt_driver* tgt_drivers[32];
short control_port = 0;
int is_debug = 1;

int get_driver_index(char* name) {
  for (int i = 0; i < 32; ++i) {
    if (tgt_drivers[i] != nullptr && std::strcmp(tgt_drivers[i]->name, name) == 0) return i;
  }
  return -2;
}

int register_driver(tgt_driver* driver) {
  driver->drv_state = DRIVER_REGD;
  if (tgt_drivers[1] != nullptr) fake::fail("register_driver: a second time");
  tgt_drivers[1] = driver;
  return 0;
}

const char* driver_state_name(tgt_driver* driver) {
  const char* const names[] = {"uninitialized", "ready", "error", "stopped"};
  return driver->drv_state < 4 ? names[driver->drv_state] : "unsupported";
}

int lld_init_one(int index) {
  tgt_driver* driver = tgt_drivers[index];
  fake::list_init(driver->target_list);
  const int result = driver->init(index, nullptr);
  driver->drv_state = result == 0 ? DRIVER_INIT : DRIVER_ERR;
  return result;
}

int tgt_event_add(int fd, int, event_handler_t handler, void* data) {
  return tgtd().add_watch(fd, handler, data);
}
void tgt_event_del(int fd) { tgtd().delete_watch(fd); }
void tgt_init_sched_event(event_data* event, sched_event_handler_t handler, void* data) {
  event->handler = handler;
  event->scheduled = 0;
  event->data = data;
  fake::list_init(event->e_list);
}
void tgt_add_sched_event(event_data* event) { tgtd().schedule(*event); }

int it_nexus_create(int tid, std::uint64_t id, int, char* info) {
  return tgtd().create_nexus(tid, id, info);
}
int it_nexus_destroy(int tid, std::uint64_t id) { return tgtd().destroy_nexus(tid, id); }
it_nexus* it_nexus_lookup(int tid, std::uint64_t id) {
  fake::Target* target = tgtd().find_target(tid);
  return target ? target->find_nexus(id) : nullptr;
}

int target_cmd_queue(int tid, scsi_cmd* cmd) { return tgtd().queue(tid, *cmd); }
void target_cmd_done(scsi_cmd* cmd) { tgtd().done(*cmd); }
void target_cmd_io_done(scsi_cmd* cmd, int result) { tgtd().io_done(*cmd, result); }
int target_mgmt_request(int tid, std::uint64_t id, std::uint64_t request_id, int function,
                        std::uint8_t* lun, std::uint64_t tag, int) {
  return tgtd().manage(tid, id, request_id, function, lun, tag);
}

namespace {

char* entry(std::vector<std::string>* list, int index) {
  if (list == nullptr || static_cast<std::size_t>(index) >= list->size()) return nullptr;
  return (*list)[static_cast<std::size_t>(index)].data();
}

}  // namespace

char* acl_get(int tid, int index) {
  fake::Target* target = tgtd().find_target(tid);
  return entry(target ? &target->addresses : nullptr, index);
}
char* iqn_acl_get(int tid, int index) {
  fake::Target* target = tgtd().find_target(tid);
  return entry(target ? &target->names : nullptr, index);
}
char* tgt_targetname(int tid) {
  fake::Target* target = tgtd().find_target(tid);
  return target ? target->name : nullptr;
}
int tgt_get_target_state(int tid) {
  fake::Target* target = tgtd().find_target(tid);
  return target ? static_cast<int>(target->target_state) : -2;
}
int is_system_available() { return tgtd().system_available() ? 1 : 0; }

tgtadm_err system_set_state(char* name) {
  const std::string_view state{name};
  if (state != "offline" && state != "ready") return TGTADM_INVALID_REQUEST;
  tgtd().set_system_available(state == "ready");
  return TGTADM_SUCCESS;
}

int get_scsi_cdb_size(scsi_cmd* cmd) {
  constexpr int sizes[8] = {6, 10, 10, 0, 16, 12, 0, 0};
  const int size = sizes[cmd->scb[0] >> 5];
  return size != 0 ? size : cmd->scb_len;
}
std::uint32_t scsi_rw_count(std::uint8_t* cdb) {
  return static_cast<std::uint32_t>(cdb[7] << 8 | cdb[8]);
}

void concat_printf(concat_buf* b, const char* format, ...) {
  char* text = nullptr;
  std::va_list args;
  va_start(args, format);
  const int bytes = vasprintf(&text, format, args);
  va_end(args);
  if (bytes < 0) return;
  b->text += text;
  std::free(text);
}
void tgt_stat_header(concat_buf* b) { b->text += "tgt lun sid\n"; }
void tgt_stat_line(int tid, std::uint64_t lun, std::uint64_t sid, lu_stat*, concat_buf* b) {
  b->text += std::to_string(tid) + " " + std::to_string(lun) + " " + std::to_string(sid) + "\n";
}

void log_error(const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  log_line("error", format, args);
  va_end(args);
}
void log_warning(const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  log_line("notice", format, args);
  va_end(args);
}
void log_debug(const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  log_line("debug", format, args);
  va_end(args);
}

}  // extern "C"

}  // namespace srp::tgt
