// tgtd's event loop and its handling of commands and task management; see tgtd.h.
#include "tests/fake/tgtd.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/fake/cm.h"
#include "tests/fake/fabric.h"
#include "tests/fake/scsi.h"
#include "tests/fake/world.h"

// Of the address sanitizer's runtime, where there is one.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" [[gnu::weak]] void* __asan_region_is_poisoned(void* begin, std::size_t size);

namespace srp::fake {

namespace {

constexpr std::size_t page_bytes = 4096;

template <class T>
T& container_of(tgt::list_head* link, std::size_t offset) {
  return *reinterpret_cast<T*>(reinterpret_cast<char*>(link) - offset);
}

// tgtd's parser of LUN fields.
std::uint64_t lun_of(const std::uint8_t* lun) {
  switch (lun[0] >> 6) {
    case 0: return lun[1];
    case 1: return static_cast<std::uint64_t>(lun[0] & 0x3f) << 8 | lun[1];
    default: return ~std::uint64_t{0};
  }
}

void check_buffer(const char* which, const tgt::scsi_data_buffer& sdb) {
  if (sdb.buffer == 0)
    fail("target_cmd_queue: no %s buffer, tgtd would follow the null pointer", which);
  if (sdb.buffer % page_bytes != 0) fail("target_cmd_queue: the %s buffer is not aligned", which);
  const std::size_t bytes = std::max<std::size_t>(sdb.length, page_bytes);
  auto* memory = reinterpret_cast<void*>(sdb.buffer);
  if (__asan_region_is_poisoned && __asan_region_is_poisoned(memory, bytes) != nullptr) {
    fail("target_cmd_queue: the %s buffer does not have %zu bytes", which, bytes);
  }
  // Pages that are not mapped end the process here, and not in the middle of the store.
  volatile const std::uint8_t* last = static_cast<const std::uint8_t*>(memory) + bytes - 1;
  (void)*last;
}

// The number of the write whose blocks these are; see Ledger::fill().
std::uint64_t write_in(const tgt::scsi_cmd& cmd) {
  std::uint64_t number = 0;
  if (cmd.out_sdb.length >= block_bytes) {
    std::memcpy(&number, reinterpret_cast<const void*>(cmd.out_sdb.buffer), sizeof number);
  }
  return number;
}

}  // namespace

void list_init(tgt::list_head& head) noexcept { head.next = head.prev = &head; }
void list_add_tail(tgt::list_head& link, tgt::list_head& head) noexcept {
  link.prev = head.prev;
  link.next = &head;
  head.prev->next = &link;
  head.prev = &link;
}
void list_del(tgt::list_head& link) noexcept {
  link.prev->next = link.next;
  link.next->prev = link.prev;
  link.next = link.prev = nullptr;
}

// ---- the event loop ----

int Tgtd::add_watch(int fd, tgt::event_handler_t handler, void* data) {
  if (the_world().happens(Fault::watch)) return -ENOMEM;
  for (const Watch& watch : watches_) {
    if (watch.fd != fd) continue;
    errno = EEXIST;
    return -1;
  }
  watches_.push_back({fd, handler, data});
  return 0;
}

void Tgtd::delete_watch(int fd) {
  if (std::erase_if(watches_, [fd](const Watch& watch) { return watch.fd == fd; }) == 0) {
    fail("tgt_event_del: descriptor %d is not watched", fd);
  }
  refresh_ = true;
}

void Tgtd::wake(int fd, int events) {
  for (const Watch& watch : std::vector<Watch>{watches_}) {
    if (watch.fd == fd) watch.handler(fd, events, watch.data);
  }
}

bool Tgtd::watches(int fd) const {
  return std::ranges::any_of(watches_, [fd](const Watch& watch) { return watch.fd == fd; });
}

void Tgtd::expect_unwatched(int fd, const char* who) const {
  for (const Watch& watch : watches_) {
    if (watch.fd == fd) fail("%s: descriptor %d is still watched", who, fd);
  }
}

void Tgtd::schedule(tgt::event_data& event) {
  if (event.scheduled != 0) return;
  event.scheduled = 1;
  list_add_tail(event.e_list, scheduled_);
}

void Tgtd::run_scheduled() {
  if (scheduled_.next == &scheduled_) return;
  const tgt::list_head* last = scheduled_.prev;
  for (bool more = true; more;) {
    tgt::list_head* link = scheduled_.next;
    more = link != last;
    auto& event = container_of<tgt::event_data>(link, offsetof(tgt::event_data, e_list));
    list_del(*link);
    event.scheduled = 0;
    event.handler(&event);
  }
}

bool Tgtd::ready(int fd, bool& is_timer) const {
  const World& world = the_world();
  is_timer = false;
  for (const auto& channel : world.fabric->channels) {
    if (channel->fd == fd) return !channel->events.empty();
  }
  for (const auto& context : world.fabric->contexts) {
    if (context->async_fd == fd) return !context->events.empty();
  }
  for (const auto& channel : world.cm->channels) {
    if (channel->fd == fd) return !channel->events.empty();
  }
  is_timer = true;
  return false;
}

void Tgtd::call(const Watch& watch) { watch.handler(watch.fd, /*EPOLLIN*/ 1, watch.data); }

void Tgtd::turn() {
  run_scheduled();
  World& world = the_world();
  std::vector<Watch> batch;
  for (const Watch& watch : watches_) {
    bool is_timer = false;
    const bool is_ready = ready(watch.fd, is_timer);
    if (is_timer) continue;
    if (is_ready ? world.random.chance(0.8) : world.happens(Fault::spurious))
      batch.push_back(watch);
  }
  refresh_ = false;
  while (!batch.empty() && !refresh_) {
    const std::size_t next = world.random.below(batch.size());
    call(batch[next]);
    batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(next));
  }
}

void Tgtd::tick() {
  run_scheduled();
  const std::vector<Watch> batch = watches_;
  refresh_ = false;
  for (const Watch& watch : batch) {
    bool is_timer = false;
    (void)ready(watch.fd, is_timer);
    if (is_timer && !refresh_) call(watch);
  }
}

bool Tgtd::busy() const {
  if (scheduled_.next != &scheduled_) return true;
  bool is_timer = false;
  return std::ranges::any_of(watches_,
                             [&](const Watch& watch) { return ready(watch.fd, is_timer); }) ||
         std::ranges::any_of(held_,
                             [](const Held& held) { return held.in_store && !held.lu->stalled; });
}

void Tgtd::add_choices(Choices& choices) {
  bool is_timer = false;
  const bool events =
      scheduled_.next != &scheduled_ ||
      std::ranges::any_of(watches_, [&](const Watch& w) { return ready(w.fd, is_timer); });
  if (events || the_world().happens(Fault::spurious)) choices.add<&Tgtd::turn>(24, *this);
  if (std::ranges::any_of(held_,
                          [](const Held& held) { return held.in_store && !held.lu->stalled; })) {
    choices.add<&Tgtd::complete_one>(8, *this);
  }
}

// ---- commands ----

void Tgtd::check_buffers(const tgt::scsi_cmd& cmd) const {
  check_buffer("data-in", cmd.in_sdb);
  check_buffer("data-out", cmd.out_sdb);
  if (cmd.scb == nullptr || cmd.scb_len < 1) fail("target_cmd_queue: no CDB");
  if (cmd.attribute != tgt::MSG_SIMPLE_TAG) {
    fail("target_cmd_queue: attribute %x, which tgtd executes twice when aborted", cmd.attribute);
  }
  if (cmd.state != 0 || cmd.mreq != nullptr || cmd.sense_len != 0 || cmd.result != 0) {
    fail("target_cmd_queue: the command was not zeroed since its last use");
  }
}

int Tgtd::queue(int tid, tgt::scsi_cmd& cmd) {
  for (const Held& held : held_) {
    if (held.cmd == &cmd) fail("target_cmd_queue: the command is still linked");
  }
  Target* target = find_target(tid);
  Nexus* nexus = target ? target->find_nexus(cmd.cmd_itn_id) : nullptr;
  if (nexus == nullptr) return -ENOENT;
  if (target->target_state != tgt::SCSI_TARGET_READY) return -EBUSY;
  check_buffers(cmd);
  cmd.dev_id = lun_of(cmd.lun);
  Lu* lu = target->find_lu(cmd.dev_id);
  const bool lun_known = lu != nullptr;
  if (lu == nullptr) lu = target->lus.front().get();
  cmd.c_target = target;
  cmd.it_nexus = nexus;
  cmd.dev = lu;
  cmd.in_sdb.resid = cmd.out_sdb.resid = 0;
  cmd.in_sdb.transfer_len = cmd.in_sdb.length;
  cmd.out_sdb.transfer_len = cmd.out_sdb.length;
  ++queued;
  if (std::strcmp(lu->bst->bs_name, "sg") == 0) {
    held_.push_back({&cmd, target, nexus, lu, false, {}, 0, true});
    std::memcpy(held_.back().cdb.data(), cmd.scb, held_.back().cdb.size());
    return 0;
  }
  list_add_tail(cmd.c_hlist, nexus->cmd_list);
  ++lu->cmd_queue.active_cmd;
  held_.push_back({&cmd, target, nexus, lu, false, {}, 0});
  Held& held = held_.back();
  std::memcpy(held.cdb.data(), cmd.scb, held.cdb.size());
  trace("tgtd: target %d nexus %llu LUN %llu command %02x", tid,
        static_cast<unsigned long long>(cmd.cmd_itn_id),
        static_cast<unsigned long long>(cmd.dev_id), cmd.scb[0]);

  const ScsiResult result = perform(held, lun_known);
  held.write = lun_known && is_write(cmd.scb[0]) && !lu->wild ? write_in(cmd) : 0;
  if (result.status == sam_good && is_write(cmd.scb[0]) && !lu->wild) {
    // Queued is as good as written, because nothing cancels it.
    const auto* blocks = reinterpret_cast<const std::uint8_t*>(cmd.out_sdb.buffer);
    const std::uint64_t number =
        ledger.identify(lu->unit, cmd.offset / block_bytes, {blocks, cmd.out_sdb.length});
    if (number != 0)
      ledger.fence(lu->unit, ledger.write(number).initiator, ledger.write(number).since);
  }
  held.in_store = result.async;
  if (!result.async) notify(held, result.status);
  return 0;
}

// The driver may be inside target_cmd_queue() still, and may call target_cmd_done() before it
// returns.
void Tgtd::notify(Held& held, int status) {
  if (std::memcmp(held.cdb.data(), held.cmd->scb, held.cdb.size()) != 0) {
    fail("the CDB changed while tgtd held the command");
  }
  held.in_store = false;
  if (status != sam_good) ledger.excuse(held.write);
  held.cmd->result = status;
  driver()->cmd_end_notify(held.cmd->cmd_itn_id, status, held.cmd);
}

void Tgtd::io_done(tgt::scsi_cmd& cmd, int status) {
  for (Held& held : held_) {
    if (held.cmd == &cmd && held.passthrough) return notify(held, status);
  }
  fail("target_cmd_io_done: tgtd does not have the command");
}

tgt::scsi_cmd* Tgtd::in_device() const {
  const auto found = std::ranges::find_if(held_, [](const Held& held) { return held.passthrough; });
  return found != held_.end() ? found->cmd : nullptr;
}

void Tgtd::complete_one() {
  std::vector<Held*> candidates;
  for (Held& held : held_) {
    if (held.in_store && !held.lu->stalled) candidates.push_back(&held);
  }
  if (candidates.empty()) return;
  Held& held = *the_world().random.pick(candidates);
  check_buffer("data-in", held.cmd->in_sdb);
  check_buffer("data-out", held.cmd->out_sdb);
  trace("tgtd: the store completes %02x of nexus %llu", held.cdb[0],
        static_cast<unsigned long long>(held.cmd->cmd_itn_id));
  notify(held, carry_out(held, ledger));
}

void Tgtd::done(tgt::scsi_cmd& cmd) {
  const auto found =
      std::ranges::find_if(held_, [&](const Held& held) { return held.cmd == &cmd; });
  if (found == held_.end())
    fail("target_cmd_done: tgtd does not hold the command; it follows null links");
  if (found->in_store) fail("target_cmd_done: the store still works on the command");
  if (cmd.mreq != nullptr) {
    for (Management& management : managements_) {
      if (&management.request != cmd.mreq || --management.request.busy != 0) continue;
      answer(management, management.request.function == tgt::ABORT_TASK ? -EEXIST : 0);
    }
  }
  if (!found->passthrough) {
    --found->lu->cmd_queue.active_cmd;
    list_del(cmd.c_hlist);
  }
  held_.erase(found);
}

// ---- task management ----

void Tgtd::answer(Management& management, int result) {
  management.notified = true;
  management.request.result = result;
  driver()->mgmt_end_notify(&management.request);
}

int Tgtd::manage(int tid, std::uint64_t nexus_id, std::uint64_t request_id, int function,
                 const std::uint8_t* lun, std::uint64_t tag) {
  Target* target = find_target(tid);
  if (target == nullptr) return tgt::MGMT_REQ_FAILED;
  trace("tgtd: task management %02x of nexus %llu", function,
        static_cast<unsigned long long>(nexus_id));
  Management& management = managements_.emplace_back();
  management.request.mid = request_id;
  management.request.function = function;
  bool known = true;
  for (Held& held : held_) {
    const bool own = held.target == target && held.cmd->cmd_itn_id == nexus_id;
    const bool same_lun = held.target == target && std::memcmp(held.cmd->lun, lun, 8) == 0;
    bool hit = false;
    switch (function) {
      case tgt::ABORT_TASK: hit = own && held.cmd->tag == tag; break;
      case tgt::ABORT_TASK_SET: hit = own; break;  // on all units
      case tgt::CLEAR_TASK_SET:
      case tgt::LOGICAL_UNIT_RESET: hit = same_lun; break;
      default: known = false;
    }
    if (!hit) continue;
    if (held.cmd->mreq != nullptr) fail("a second task takes a command: the first has no answer");
    held.cmd->mreq = &management.request;
    ++management.request.busy;
  }
  known = known && function != tgt::CLEAR_ACA;
  if (function == tgt::LOGICAL_UNIT_RESET) {
    for (auto& nexus : target->nexuses) nexus->attentions.push_back({lun_of(lun), 0x29, 0});
  }
  if (function == tgt::CLEAR_TASK_SET) {
    for (auto& nexus : target->nexuses) {
      const bool own = nexus.get() == target->find_nexus(nexus_id);
      nexus->attentions.push_back({lun_of(lun), static_cast<std::uint8_t>(own ? 0x29 : 0x2f), 0});
    }
  }
  if (management.request.busy != 0) return tgt::MGMT_REQ_QUEUED;
  const bool missing = function == tgt::ABORT_TASK;
  answer(management, !known ? -EINVAL : missing ? -EEXIST : 0);
  return known && !missing ? tgt::MGMT_REQ_DONE : tgt::MGMT_REQ_FAILED;
}

}  // namespace srp::fake
