#include "plugin_api/passthrough.h"

#include <fcntl.h>
#include <scsi/sg.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "plugin_api/log.h"
#include "plugin_api/target_view.h"

namespace srp::tgt {

namespace {

constexpr int check_condition = 0x02;

// tgtd writes 0 whenever it opens the device, anew as well, and has no other use for the size of
// such a unit: a mark that the open file is ours to read from.
constexpr std::uint64_t prepared = 1;

// What the host adapter's driver says of a command (SCSI mid-level host bytes).
constexpr unsigned short did_time_out = 0x03;
// sg's driver_status: 8 means that there is sense data, bits 4 to 7 are advice.
constexpr unsigned short driver_error_mask = 0x07;

scsi_lu* unit_of(int fd) noexcept {
  return find_lu_of_any([fd](const scsi_lu& lu) { return lu.fd == fd && is_passthrough(lu); });
}

void set_moved(scsi_data_buffer& side, std::uint32_t bytes) noexcept {
  side.transfer_len = bytes;
  side.resid = static_cast<std::int32_t>(side.length - bytes);
}

// Fixed-format sense: ABORTED COMMAND, which makes an initiator try again.
void fail_transport(scsi_cmd& cmd, bool timeout) noexcept {
  unsigned char* const sense = cmd.sense_buffer;
  std::fill_n(sense, 18, std::uint8_t{0});
  sense[0] = 0x70;
  sense[2] = 0x0b;
  sense[7] = 10;
  sense[12] = 0x08;  // LOGICAL UNIT COMMUNICATION FAILURE, TIME-OUT
  sense[13] = timeout ? 0x01 : 0x00;
  cmd.sense_len = 18;
}

void complete(const sg_io_hdr& done) noexcept {
  scsi_cmd& cmd = *static_cast<scsi_cmd*>(done.usr_ptr);
  const bool transport_failed =
      done.host_status != 0 || (done.driver_status & driver_error_mask) != 0;
  const bool writes = done.dxfer_direction == SG_DXFER_TO_DEV;
  scsi_data_buffer& side = writes ? cmd.out_sdb : cmd.in_sdb;
  const auto left = static_cast<std::uint32_t>(std::max(done.resid, 0));
  int status = done.status;
  cmd.sense_len = done.sb_len_wr;
  set_moved(side, side.length - std::min(left, side.length));
  if (status == 0 && transport_failed) {
    fail_transport(cmd, done.host_status == did_time_out);
    set_moved(side, 0);
    status = check_condition;
  }
  target_cmd_io_done(&cmd, status);
}

bool take_completion(int fd) noexcept {
  sg_io_hdr header{};
  header.interface_id = 'S';
  header.pack_id = -1;  // whichever is over
  ssize_t bytes = 0;
  do {
    bytes = read(fd, &header, sizeof header);
  } while (bytes < 0 && errno == EINTR);
  if (bytes != ssize_t{sizeof header}) return false;
  complete(header);
  return true;
}

// Not told which unit it is for: tgtd closes the file and frees the unit without a word, perhaps
// between the event and this call.
void on_sg_event(int fd, int events, void*) noexcept {
  for (int i = 0; i < passthrough_commands_max; ++i) {
    if (take_completion(fd)) continue;
    if ((static_cast<unsigned>(events) & (EPOLLHUP | EPOLLERR)) == 0) return;
    const scsi_lu* const lu = unit_of(fd);
    if (lu != nullptr && lu->cmd_queue.active_cmd != 0) return;  // they still come
    tgt_event_del(fd);
    if (lu != nullptr) {
      srp::log_error("unit %llu of target %d: its device is gone; delete the unit",
                     static_cast<unsigned long long>(lu->lun), lu->tgt->tid);
    }
    return;
  }
}

}  // namespace

bool prepare_passthrough(scsi_lu& lu) noexcept {
  if (bs_name(lu) != "sg" || lu.path == nullptr) return false;
  if (lu.size == prepared) return true;
  const int flags = fcntl(lu.fd, F_GETFL);
  if (flags < 0 || fcntl(lu.fd, F_SETFL, flags | O_NONBLOCK) < 0) return false;
  tgt_event_del(lu.fd);  // tgtd's own
  if (tgt_event_add(lu.fd, EPOLLIN, on_sg_event, nullptr) != 0) return false;
  lu.size = prepared;
  return true;
}

bool concerns_more_than_the_unit(std::span<const std::uint8_t> cdb) noexcept {
  switch (cdb[0]) {
    case 0x16:  // RESERVE(6), RELEASE(6)
    case 0x17:
    case 0x56:  // RESERVE(10), RELEASE(10)
    case 0x57:
    case 0x5e:  // PERSISTENT RESERVE IN, OUT
    case 0x5f:
    case 0x83:  // EXTENDED COPY, RECEIVE COPY RESULTS
    case 0x84:
    case 0xa0:  // REPORT LUNS
      return true;
    default: return false;
  }
}

int cdb_bytes(std::uint8_t opcode) noexcept {
  switch (opcode >> 5) {
    case 0: return 6;
    case 1:
    case 2: return 10;
    case 5: return 12;
    default: return 16;
  }
}

}  // namespace srp::tgt
