// tgtd, as far as a low-level driver can see it, with its traps.
//
// Targets, nexuses and units are tgtd's own structures, linked as tgtd links them. Commands for a
// backing store wait in the store until the simulation completes them; all others are answered
// inside target_cmd_queue(). The store touches the data when it completes, not before.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "plugin_api/tgt_abi.h"
#include "tests/fake/choices.h"
#include "tests/fake/ledger.h"

// tgtd's opaque type: what `show` and `stat` print.
struct srp::tgt::concat_buf {
  std::string text;
};

namespace srp::fake {

// Each target has a unit whose content nobody vouches for: where IUs that chance has written write.
inline constexpr std::uint64_t wild_lun = 40;

struct Lu : tgt::scsi_lu {
  Unit unit;
  std::vector<std::uint8_t> content;
  bool stalled = false;
  bool null_store = false;  // answers at once and moves nothing
  bool wild = false;        // its content is not in the ledger
};

struct UnitAttention {
  std::uint64_t lun;
  std::uint8_t asc;
  std::uint8_t ascq;
};

struct Nexus : tgt::it_nexus {
  std::list<UnitAttention> attentions;
};

struct Target : tgt::target {
  std::string name_text;
  std::vector<std::string> addresses;  // ACLs
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Lu>> lus;  // [0] is LUN 0, the controller
  std::vector<std::unique_ptr<Nexus>> nexuses;

  Lu* find_lu(std::uint64_t lun) const;
  Nexus* find_nexus(std::uint64_t id) const;
};

// A command that tgtd holds.
struct Held {
  tgt::scsi_cmd* cmd;
  Target* target;
  Nexus* nexus;
  Lu* lu;
  bool in_store;
  std::array<std::uint8_t, 16> cdb;  // as it was when queued
  std::uint64_t write = 0;           // its number in the ledger
  // It went to a device, past tgtd's lists and counts; the test completes it.
  bool passthrough = false;
};

class Tgtd {
 public:
  Tgtd();
  ~Tgtd();

  // ---- the event loop ----
  struct Watch {
    int fd;
    tgt::event_handler_t handler;
    void* data;
  };
  int add_watch(int fd, tgt::event_handler_t handler, void* data);
  void delete_watch(int fd);
  void schedule(tgt::event_data& event);
  // The descriptor has these events: its handler is called.
  void wake(int fd, int events);
  [[nodiscard]] bool watches(int fd) const;
  void expect_unwatched(int fd, const char* who) const;
  // One round: scheduled events, then handlers of some descriptors that are ready.
  void turn();
  // A quarter of a second passes.
  void tick();
  void add_choices(Choices& choices);
  [[nodiscard]] bool busy() const;  // the loop or a store that is not stalled has work

  // ---- the administrator ----
  // iSCSI has callbacks, as it has in reality; without them requests to it reach nobody. Before
  // load_driver().
  void let_first_driver_answer();
  void load_driver();
  void unload_driver();  // tgtd's end, after all targets
  bool stop_driver();    // tgtadm --mode lld --op stop; refused while targets exist
  void start_driver();
  Target& create_target(int tid, const std::string& name);
  Lu& create_lu(Target& target, std::uint64_t lun, std::uint64_t blocks, bool null_store);
  // false: refused, as active.
  bool delete_lu(Target& target, std::uint64_t lun);
  // through_driver: as `tgtadm --lld srp` does; otherwise the driver is not told.
  bool delete_target(Target& target, bool force, bool through_driver);
  void set_target_state(Target& target, tgt::scsi_target_state state);
  void set_system_available(bool available) { system_available_ = available; }
  // tgtadm --op delete --mode conn for each nexus.
  void delete_connections(Target& target);
  std::string show(int mode, int tid);
  // A request of tgtadm, sensible or not.
  void request_anything();
  // Makes the portal that the initiators know, if it is gone.
  void open_portal();

  // ---- commands ----
  int queue(int tid, tgt::scsi_cmd& cmd);
  void done(tgt::scsi_cmd& cmd);
  int manage(int tid, std::uint64_t nexus_id, std::uint64_t request_id, int function,
             const std::uint8_t* lun, std::uint64_t tag);
  int create_nexus(int tid, std::uint64_t id, char* info);
  int destroy_nexus(int tid, std::uint64_t id);
  // Completes one command of a store.
  void complete_one();
  void notify(Held& held, int status);
  // The completion of a pass-through command, which no list of tgtd's knows.
  void io_done(tgt::scsi_cmd& cmd, int status);
  // A command that is with a device; null if there is none.
  [[nodiscard]] tgt::scsi_cmd* in_device() const;

  Target* find_target(int tid) const;
  [[nodiscard]] bool system_available() const noexcept { return system_available_; }
  [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }
  void expect_at_rest() const;

  // The driver under test: tgt_drivers[1]. [0] is iscsi, to which requests without --lld go.
  static tgt::tgt_driver* driver() noexcept { return tgt::tgt_drivers[1]; }

  std::vector<std::unique_ptr<Target>> targets;
  Ledger ledger;
  std::uint64_t queued = 0;  // commands ever accepted

 private:
  struct Management {
    tgt::mgmt_req request;
    bool notified = false;
  };

  void run_scheduled();
  void call(const Watch& watch);
  [[nodiscard]] bool ready(int fd, bool& is_timer) const;
  void check_buffers(const tgt::scsi_cmd& cmd) const;
  void execute(Held& held);
  void answer(Management& management, int result);
  void destroy_lu(Target& target, Lu& lu);

  std::vector<Watch> watches_;
  bool refresh_ = false;  // a watch has ended: the rest of the batch is dropped
  tgt::list_head scheduled_;
  bool system_available_ = true;
  std::list<Held> held_;
  std::list<Management> managements_;
};

// Links of tgt's lists.
void list_init(tgt::list_head& head) noexcept;
void list_add_tail(tgt::list_head& link, tgt::list_head& head) noexcept;
void list_del(tgt::list_head& link) noexcept;

}  // namespace srp::fake
