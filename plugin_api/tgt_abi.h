// tgtd's driver ABI, declared in our own words.
//
// tgt installs no headers, and its own do not compile as C++, so this file states the part of the
// binary interface that a low-level driver touches. tgt_layout.def holds every size, offset and
// constant once; it is asserted here and, by tgt_layout_check.c, against tgt's real headers.
// One binary fits tgtd 1.0.47 to 1.0.97; self_check.h asks the running daemon all the same.
//
// Names of types and members are tgt's, so that the two checks can share the table.
// Everything here may be used on tgtd's main thread only, except the log functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace srp::tgt {
extern "C" {

struct list_head {
  list_head* next;
  list_head* prev;
};

struct backingstore_template;
struct concat_buf;
struct it_nexus_lu_info;
struct target;

// ---- commands ----

enum data_direction : std::uint32_t {
  DATA_NONE = 0,
  DATA_WRITE = 1,  // data-out, seen from the initiator
  DATA_READ = 2,   // data-in
  DATA_BIDIRECTIONAL = 3,
};

struct scsi_data_buffer {
  std::uint64_t buffer;        // address of one contiguous buffer; never null (see tgtd_command.h)
  std::uint32_t length;        // bytes that tgtd may use
  std::uint32_t transfer_len;  // bytes moved, set by tgtd
  std::int32_t resid;          // > 0: fewer bytes moved than length; < 0: more were wanted
};

struct mgmt_req {
  std::uint64_t mid;  // our request id, returned as given
  int busy;
  int function;
  int result;  // 0, or a negative errno
};

struct scsi_lu;
struct it_nexus;

inline constexpr std::size_t scsi_sense_buffersize = 252;

struct scsi_cmd {
  target* c_target;
  list_head c_hlist;  // in it_nexus::cmd_list from target_cmd_queue to target_cmd_done
  list_head qlist;
  std::uint64_t dev_id;
  scsi_lu* dev;
  unsigned long state;
  data_direction data_dir;
  scsi_data_buffer in_sdb;
  scsi_data_buffer out_sdb;
  std::uint64_t cmd_itn_id;  // the id given to it_nexus_create
  std::uint64_t offset;
  std::uint32_t tl;
  std::uint8_t* scb;  // the CDB; read by workers until target_cmd_done
  int scb_len;
  std::uint8_t lun[8];
  int attribute;
  std::uint64_t tag;
  int result;  // SAM status
  mgmt_req* mreq;
  unsigned char sense_buffer[scsi_sense_buffersize];
  int sense_len;
  list_head bs_list;
  struct it_nexus* it_nexus;
  it_nexus_lu_info* itn_lu_info;
};

// ---- targets, nexuses, logical units ----

struct target {
  char* name;
  int tid;
  int lid;  // index of the driver in tgt_drivers
  std::uint32_t target_state;
  list_head target_siblings;
  list_head device_list;  // of scsi_lu::device_siblings
  list_head it_nexus_list;
  backingstore_template* bst;
  list_head acl_list;
  list_head iqn_acl_list;
  std::uint8_t account[24];
  list_head lld_siblings;  // in tgt_driver::target_list
};

struct it_nexus {
  std::uint64_t itn_id;
  long ctime;
  list_head cmd_list;
  target* nexus_target;
  list_head nexus_siblings;
  int host_no;
  list_head itn_itl_info_list;
  char* info;
};

struct lu_stat {
  std::uint64_t rd_subm_bytes;
  std::uint64_t rd_done_bytes;
  std::uint64_t wr_subm_bytes;
  std::uint64_t wr_done_bytes;
  std::uint32_t rd_subm_cmds;
  std::uint32_t rd_done_cmds;
  std::uint32_t wr_subm_cmds;
  std::uint32_t wr_done_cmds;
  std::uint32_t bidir_subm_cmds;
  std::uint32_t bidir_done_cmds;
  std::uint32_t err_num;
};

struct it_nexus_lu_info {
  scsi_lu* lu;
  std::uint64_t itn_id;
  lu_stat stat;
  list_head itn_itl_info_siblings;
  list_head lu_itl_info_siblings;
  list_head pending_ua_sense_list;
  int prevent;
};

struct vpd {
  std::uint16_t size;
  void (*vpd_update)(scsi_lu* lu, void* data);
  std::uint8_t data[];
};

struct lu_phy_attr {
  char scsi_id[37];
  char scsi_sn[37];
  std::uint64_t numeric_id;
  char vendor_id[9];
  char product_id[17];
  char product_rev[5];
  std::uint16_t version_desc[8];
  unsigned char device_type;  // SPC peripheral device type
  char qualifier;
  char removable;
  char readonly;
  char swp;
  char thinprovisioning;
  char online;
  char sense_format;
  unsigned char lbppbe;
  char no_auto_lbppbe;
  std::uint16_t la_lba;
  std::uint16_t rotation_rate;  // padding before 1.0.77
  vpd* lu_vpd[128];             // index: page code - 0x80
};

struct tgt_cmd_queue {
  int active_cmd;
  unsigned long state;
  list_head queue;
};

struct registration {
  std::uint64_t key;
  std::uint64_t nexus_id;
  long ctime;
  list_head registration_siblings;
  std::uint8_t pr_scope;
  std::uint8_t pr_type;
};

struct scsi_lu {
  int fd;
  std::uint64_t addr;
  std::uint64_t size;  // bytes
  std::uint64_t lun;
  char* path;
  int bsoflags;
  unsigned int blk_shift;
  list_head device_siblings;
  list_head lu_itl_info_list;
  tgt_cmd_queue cmd_queue;
  std::uint64_t reserve_id;
  std::uint8_t dev_type_template[6216];
  backingstore_template* bst;
  target* tgt;
  std::uint8_t mode_block_descriptor[8];
  list_head mode_pages;
  lu_phy_attr attrs;
  list_head registration_list;
  std::uint32_t prgeneration;
  registration* pr_holder;
  void* xxc_p;
  int (*cmd_perform)(int tid, scsi_cmd* cmd);
  void (*cmd_done)(target* t, scsi_cmd* cmd);
};

// The first member is all that we read of a backing store.
struct backingstore_template {
  const char* bs_name;
};

struct acl_entry {
  char* address;
  list_head aclent_list;
};

struct iqn_acl_entry {
  char* name;
  list_head iqn_aclent_list;
};

// ---- the driver table ----

struct tgt_driver {
  const char* name;
  std::uint32_t drv_state;
  int (*init)(int lld_index, char* args);
  void (*exit)();
  int (*target_create)(target* t);
  void (*target_destroy)(int tid, int force);
  int (*portal_create)(char* params);
  int (*portal_destroy)(char* params);
  int (*lu_create)(scsi_lu* lu);
  // Mind the order of lun and cid: update has (sid, lun, cid), show and stat have (sid, cid, lun).
  int (*update)(int mode, int op, int tid, std::uint64_t sid, std::uint64_t lun, std::uint32_t cid,
                char* name);
  int (*show)(int mode, int tid, std::uint64_t sid, std::uint32_t cid, std::uint64_t lun,
              concat_buf* b);
  int (*stat)(int mode, int tid, std::uint64_t sid, std::uint32_t cid, std::uint64_t lun,
              concat_buf* b);
  std::uint64_t (*scsi_get_lun)(std::uint8_t* lun);
  int (*cmd_end_notify)(std::uint64_t nexus_id, int result, scsi_cmd* cmd);
  int (*mgmt_end_notify)(mgmt_req* request);
  int (*transportid)(int tid, std::uint64_t itn_id, char* buffer, int size);
  const char* default_bst;
  list_head target_list;  // of target::lld_siblings; tgtd keeps it right in every case
};

enum tgt_driver_state : std::uint32_t {
  DRIVER_REGD = 0,
  DRIVER_INIT = 1,
  DRIVER_ERR = 2,
  DRIVER_EXIT = 3,
};

// System and target state.
enum scsi_target_state : int { SCSI_TARGET_OFFLINE = 1, SCSI_TARGET_READY = 2 };

enum mgmt_req_result : int { MGMT_REQ_FAILED = -1, MGMT_REQ_DONE = 0, MGMT_REQ_QUEUED = 1 };

// Modes and operations of tgtadm.
enum tgtadm_mode : int {
  MODE_SYSTEM = 0,
  MODE_TARGET = 1,
  MODE_DEVICE = 2,
  MODE_PORTAL = 3,
  MODE_LLD = 4,
  MODE_SESSION = 5,
  MODE_CONNECTION = 6,
  MODE_ACCOUNT = 7,
};
enum tgtadm_op : int {
  OP_NEW = 0,
  OP_DELETE = 1,
  OP_SHOW = 2,
  OP_BIND = 3,
  OP_UNBIND = 4,
  OP_UPDATE = 5,
  OP_STATS = 6,
  OP_START = 7,
  OP_STOP = 8,
};

enum tgtadm_err : int {
  TGTADM_SUCCESS = 0,
  TGTADM_UNKNOWN_ERR = 1,
  TGTADM_NOMEM = 2,
  TGTADM_NO_DRIVER = 3,
  TGTADM_NO_TARGET = 4,
  TGTADM_NO_LUN = 5,
  TGTADM_NO_SESSION = 6,
  TGTADM_NO_CONNECTION = 7,
  TGTADM_INVALID_REQUEST = 17,
  TGTADM_TARGET_ACTIVE = 19,
  TGTADM_UNSUPPORTED_OPERATION = 22,
  TGTADM_UNKNOWN_PARAM = 23,
};

// scsi_cmd::attribute
inline constexpr int MSG_SIMPLE_TAG = 0x20;

// Task management functions as target_mgmt_request() wants them.
enum task_management : int {
  ABORT_TASK = 0x0d,
  ABORT_TASK_SET = 0x06,
  CLEAR_ACA = 0x16,
  CLEAR_TASK_SET = 0x0e,
  LOGICAL_UNIT_RESET = 0x17,
};

// ---- the event loop ----

struct event_data {
  void (*handler)(event_data* event);  // of a scheduled event
  int scheduled;
  void* data;
  list_head e_list;
};

using event_handler_t = void (*)(int fd, int events, void* data);
using sched_event_handler_t = void (*)(event_data* event);

int tgt_event_add(int fd, int events, event_handler_t handler, void* data);
void tgt_event_del(int fd);
void tgt_init_sched_event(event_data* event, sched_event_handler_t handler, void* data);
void tgt_add_sched_event(event_data* event);

// ---- functions ----

extern tgt_driver* tgt_drivers[];
extern short control_port;  // the -C option; instances beyond the first have one that is not 0

int get_driver_index(char* name);
int register_driver(tgt_driver* driver);
const char* driver_state_name(tgt_driver* driver);
int lld_init_one(int lld_index);

// Precondition: the target exists (tgtd does not check it).
int it_nexus_create(int tid, std::uint64_t itn_id, int host_no, char* info);
int it_nexus_destroy(int tid, std::uint64_t itn_id);
it_nexus* it_nexus_lookup(int tid, std::uint64_t itn_id);

int target_cmd_queue(int tid, scsi_cmd* cmd);
void target_cmd_done(scsi_cmd* cmd);
// What a store calls at a command's end: tgtd's statistics, then cmd_end_notify.
void target_cmd_io_done(scsi_cmd* cmd, int result);
int target_mgmt_request(int tid, std::uint64_t itn_id, std::uint64_t req_id, int function,
                        std::uint8_t* lun, std::uint64_t tag, int host_no);

// The addresses and names bound to a target; null past the last one.
char* acl_get(int tid, int index);
char* iqn_acl_get(int tid, int index);
char* tgt_targetname(int tid);
// A scsi_target_state, or a negative errno where there is no such target.
int tgt_get_target_state(int tid);
int is_system_available();
// "offline" or "ready".
tgtadm_err system_set_state(char* name);

int get_scsi_cdb_size(scsi_cmd* cmd);
std::uint32_t scsi_rw_count(std::uint8_t* cdb);

void concat_printf(concat_buf* b, const char* format, ...) __attribute__((format(printf, 2, 3)));
void tgt_stat_header(concat_buf* b);
void tgt_stat_line(int tid, std::uint64_t lun, std::uint64_t sid, lu_stat* stat, concat_buf* b);

void log_error(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char* format, ...) __attribute__((format(printf, 1, 2)));
extern int is_debug;

}  // extern "C"

#define TGT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "size of " #type);
#define TGT_FIELD(type, field, at) \
  static_assert(offsetof(type, field) == (at), "offset of " #type "." #field);
#define TGT_VALUE(name, value) static_assert(static_cast<long>(name) == (value), #name);
#include "tgt_layout.def"
#undef TGT_SIZE
#undef TGT_FIELD
#undef TGT_VALUE

}  // namespace srp::tgt
