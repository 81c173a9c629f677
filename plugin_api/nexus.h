// One I_T nexus of tgtd, and the commands that it holds for us.
//
// Owns tgtd's traps of a command's life: a refused command was never linked and is never retired,
// an accepted one is retired exactly once, after its notification; tgtd calls cmd_end_notify from
// inside submit() as often as not.
#pragma once

#include <cstdint>
#include <vector>

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

enum class Submitted : std::uint8_t {
  accepted,     // cmd_end_notify will come, or has come already
  target_busy,  // the target is offline: answer BUSY
  nexus_gone,   // the target or nexus is gone: the session is dead
};

enum class Managed : std::uint8_t {
  pending_or_done,  // mgmt_end_notify will come, or has come already
  failed,           // mgmt_end_notify may have come already; it will not come any more
};

// The task management functions of one target that tgtd works on: one for each unit at a time,
// because a second one takes the commands from the first, which then is never answered.
class UnitTasks {
 public:
  // False: the unit has one, or there is no memory; try again later.
  [[nodiscard]] bool begin(std::uint64_t lun, std::uint64_t request_id) noexcept;
  // tgtd is done with it; false: not one of these.
  bool end(std::uint64_t request_id) noexcept;

 private:
  struct Pending {
    std::uint64_t lun;
    std::uint64_t request_id;
  };
  std::vector<Pending> pending_;
};

class Nexus {
 public:
  // Makes the nexus known to tgtd. info is shown by `tgtadm --mode target --op show`: lines that
  // begin with blanks and end with a newline, one of them "Connection: <decimal>"; it is kept by
  // pointer. Throws std::system_error: ENOENT (no such target), EEXIST, ENOMEM.
  Nexus(int tid, std::uint64_t id, char* info);
  // Precondition: nothing in flight. A nexus that tgtd lost with its target is no error.
  ~Nexus();
  Nexus(const Nexus&) = delete;
  Nexus& operator=(const Nexus&) = delete;

  [[nodiscard]] int tid() const noexcept { return tid_; }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  // Commands between submit() and retire(), pass-through ones included.
  [[nodiscard]] unsigned in_flight() const noexcept { return in_flight_; }
  // False once tgtd has dropped the target under us.
  [[nodiscard]] bool alive() const noexcept;

  // Hands cmd to tgtd; cmd and its buffers are tgtd's until the notification. The caller filled
  // scb, scb_len, lun, tag, data_dir and both data buffers; the rest is set here.
  [[nodiscard]] Submitted submit(scsi_cmd& cmd) noexcept;

  // Gives back a command that was notified. May call mgmt_end_notify.
  void retire(scsi_cmd& cmd) noexcept;

  // A task management function; request_id comes back as mgmt_req::mid.
  [[nodiscard]] Managed manage(std::uint64_t request_id, task_management function,
                               const std::uint8_t (&lun)[8]) noexcept;

 private:
  int tid_;
  std::uint64_t id_;
  unsigned in_flight_ = 0;
};

}  // namespace srp::tgt
