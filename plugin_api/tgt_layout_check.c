// tgt_layout.def and the prototypes of tgt_abi.h, held against the headers of a tgt release.
//
//   gcc -fsyntax-only -D_GNU_SOURCE -I TGT/usr plugin_api/tgt_layout_check.c
//
// That it compiles is the proof; there is no object. tests/suites/abi compiles it for every release
// it can get. tgt's headers are neither self-contained nor, in the case of scsi_cmnd.h, guarded
// against a second inclusion: order matters, and tgtd.h brings scsi_cmnd.h along.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#include "list.h"
#include "util.h"
#include "tgtd.h"
#include "driver.h"
#include "scsi.h"
#include "target.h"
#include "tgtadm.h"
// clang-format on

#define TGT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), "size of " #type);
#define TGT_FIELD(type, field, at) \
  _Static_assert(offsetof(struct type, field) == (at), "offset of " #type "." #field);
#define TGT_VALUE(name, value) _Static_assert((name) == (value), #name);
#include "tgt_layout.def"

// Enumerations cross the interface as our 32-bit integers.
_Static_assert(sizeof(enum data_direction) == 4, "data_direction");
_Static_assert(sizeof(enum mgmt_req_result) == 4, "mgmt_req_result");
_Static_assert(sizeof(enum scsi_target_state) == 4, "scsi_target_state");
_Static_assert(sizeof(enum tgt_driver_state) == 4, "tgt_driver_state");
_Static_assert(sizeof(tgtadm_err) == 4, "tgtadm_err");

// ---- what tgtd calls: the members of tgt_driver and of the structures that carry functions ----

#define TGT_CALLBACK(type, field, result, arguments)                                           \
  _Static_assert(                                                                              \
      __builtin_types_compatible_p(__typeof__(((struct type*)0)->field), result(*) arguments), \
      "type of " #type "." #field);

TGT_CALLBACK(tgt_driver, init, int, (int, char*))
TGT_CALLBACK(tgt_driver, exit, void, (void))
TGT_CALLBACK(tgt_driver, target_create, int, (struct target*))
TGT_CALLBACK(tgt_driver, target_destroy, void, (int, int))
TGT_CALLBACK(tgt_driver, portal_create, int, (char*))
TGT_CALLBACK(tgt_driver, portal_destroy, int, (char*))
TGT_CALLBACK(tgt_driver, lu_create, int, (struct scsi_lu*))
TGT_CALLBACK(tgt_driver, update, tgtadm_err, (int, int, int, uint64_t, uint64_t, uint32_t, char*))
TGT_CALLBACK(tgt_driver, show, tgtadm_err,
             (int, int, uint64_t, uint32_t, uint64_t, struct concat_buf*))
TGT_CALLBACK(tgt_driver, stat, tgtadm_err,
             (int, int, uint64_t, uint32_t, uint64_t, struct concat_buf*))
TGT_CALLBACK(tgt_driver, scsi_get_lun, uint64_t, (uint8_t*))
TGT_CALLBACK(tgt_driver, cmd_end_notify, int, (uint64_t, int, struct scsi_cmd*))
TGT_CALLBACK(tgt_driver, mgmt_end_notify, int, (struct mgmt_req*))
TGT_CALLBACK(tgt_driver, transportid, int, (int, uint64_t, char*, int))
TGT_CALLBACK(vpd, vpd_update, void, (struct scsi_lu*, void*))
TGT_CALLBACK(scsi_lu, cmd_perform, int, (int, struct scsi_cmd*))
TGT_CALLBACK(scsi_lu, cmd_done, void, (struct target*, struct scsi_cmd*))
TGT_CALLBACK(event_data, sched_handler, void, (struct event_data*))

// ---- what we call ----

#define TGT_FUNCTION(name, result, arguments)                                          \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&name), result(*) arguments), \
                 "type of " #name);

TGT_FUNCTION(tgt_event_add, int, (int, int, event_handler_t, void*))
TGT_FUNCTION(tgt_event_del, void, (int))
TGT_FUNCTION(tgt_init_sched_event, void, (struct event_data*, sched_event_handler_t, void*))
TGT_FUNCTION(tgt_add_sched_event, void, (struct event_data*))

TGT_FUNCTION(get_driver_index, int, (char*))
TGT_FUNCTION(register_driver, int, (struct tgt_driver*))
TGT_FUNCTION(driver_state_name, const char*, (struct tgt_driver*))
TGT_FUNCTION(lld_init_one, int, (int))

TGT_FUNCTION(it_nexus_create, int, (int, uint64_t, int, char*))
TGT_FUNCTION(it_nexus_destroy, int, (int, uint64_t))
TGT_FUNCTION(it_nexus_lookup, struct it_nexus*, (int, uint64_t))

TGT_FUNCTION(target_cmd_queue, int, (int, struct scsi_cmd*))
TGT_FUNCTION(target_cmd_done, void, (struct scsi_cmd*))
TGT_FUNCTION(target_cmd_io_done, void, (struct scsi_cmd*, int))
TGT_FUNCTION(target_mgmt_request, enum mgmt_req_result,
             (int, uint64_t, uint64_t, int, uint8_t*, uint64_t, int))

TGT_FUNCTION(acl_get, char*, (int, int))
TGT_FUNCTION(iqn_acl_get, char*, (int, int))
TGT_FUNCTION(tgt_targetname, char*, (int))
TGT_FUNCTION(tgt_get_target_state, enum scsi_target_state, (int))
TGT_FUNCTION(is_system_available, int, (void))
TGT_FUNCTION(system_set_state, tgtadm_err, (char*))

TGT_FUNCTION(get_scsi_cdb_size, int, (struct scsi_cmd*))
TGT_FUNCTION(scsi_rw_count, uint32_t, (uint8_t*))

TGT_FUNCTION(concat_printf, int, (struct concat_buf*, const char*, ...))
TGT_FUNCTION(tgt_stat_header, void, (struct concat_buf*))
TGT_FUNCTION(tgt_stat_line, void, (int, uint64_t, uint64_t, struct lu_stat*, struct concat_buf*))

TGT_FUNCTION(log_error, void, (const char*, ...))
TGT_FUNCTION(log_warning, void, (const char*, ...))
TGT_FUNCTION(log_debug, void, (const char*, ...))

// ---- variables ----

#define TGT_VARIABLE(name, type) \
  _Static_assert(__builtin_types_compatible_p(__typeof__(name), type), "type of " #name);

TGT_VARIABLE(tgt_drivers, struct tgt_driver*[])
TGT_VARIABLE(is_debug, int)

// No header of tgtd's core declares control_port: iscsi/iser.h does, and tgtd.c defines it.
extern short control_port;
TGT_VARIABLE(control_port, short)
