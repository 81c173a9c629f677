// What every case is run with: the target, ways to log in to it, memory for it to reach, its disk,
// and the proofs that a case has done no harm.
#pragma once

#include <functional>
#include <initializer_list>
#include <list>

#include "cdb.h"
#include "channel.h"
#include "options.h"

namespace conformance {

// A login attempt: accepted with a channel, or not.
struct Attempt {
  Answer answer;
  Channel* channel = nullptr;
};

class Lab {
 public:
  // Logs in as a bystander, and learns the size of the disk.
  explicit Lab(const Options& options);

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const Fabric& fabric() const { return fabric_; }
  [[nodiscard]] Deadline patience() const { return in_seconds(options_.patience_s); }
  // What the result's line says besides PASS.
  void remark(std::string words) { remark_ = std::move(words); }
  [[nodiscard]] const std::string& remark() const { return remark_; }

  // ---- logging in; channels live until the case has ended ----

  [[nodiscard]] LoginRequest request() const;  // a SINGLE login as the case's own initiator
  static PortId initiator(std::uint64_t extension);
  Attempt attempt(View private_data, const Terms& terms = {});
  Attempt attempt(const LoginRequest& request, const Terms& terms = {}) {
    return attempt(request.encode(), terms);
  }
  // Fails the case if it is refused. Unit attentions of the new nexus are taken, so that a case
  // meets none.
  Channel& login(const LoginRequest& request, const Terms& terms = {});
  Channel& login() { return login(request()); }
  // One more channel of the same nexus; skips the case where the target wants no more than one.
  Channel& join();
  // The login must be refused for one of these reasons, the first one if --strict.
  void must_be_refused(const Attempt& attempt, std::initializer_list<std::uint32_t> reasons);
  void
  close_channels();  // with a DREQ, which the target has not necessarily seen when this returns

  void drop_channels() {
    channels_.clear();
  }  // without a word of this program: the kernel tells the target

  // ---- memory, until the case has ended ----

  Region& memory(std::size_t bytes, int access = Region::remote);

  // ---- the disk ----

  [[nodiscard]] std::size_t block() const { return block_; }
  [[nodiscard]] std::uint64_t blocks() const { return blocks_; }
  [[nodiscard]] std::array<std::uint8_t, 8> lun() const { return {0, options_.lun}; }
  Command command(Channel& channel, Bytes cdb) const;
  // Repeats while the answer is a unit attention, BUSY or TASK SET FULL.
  Response run_patiently(Channel& channel, const std::function<Bytes(Tag)>& make);
  void write(Channel& channel, std::uint32_t lba, View data);
  Bytes read(Channel& channel, std::uint32_t lba, std::size_t bytes);

  void stall();   // skips the case where --stall is not given
  void resume();  // also at the end of a case, if it has not
  [[nodiscard]] std::int64_t target_memory_kib() const;  // resident; skips the case without --pid
  // It comes down to this: what a peer has left is given back a moment later.
  void target_memory_must_settle(std::int64_t kib) const;

  // ---- after a case ----

  // Channels that should live move data and have all their credits; if none lives, a new login can.
  // So does the bystander. Then everything of the case is closed.
  void prove_unharmed();
  void prove_bystander();
  void clean_up() noexcept;
  // The same for one channel, within a case.
  void prove(Channel& channel);

 private:
  void move_data(Channel& channel, std::uint32_t lba);
  void learn_disk();

  const Options& options_;
  Fabric fabric_;
  std::string remark_;
  std::list<Region> regions_;
  std::list<Channel> channels_;
  Region bounce_;  // for data of write() and read()
  std::unique_ptr<Channel> bystander_;
  std::size_t block_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint32_t proofs_ = 0;  // so that no two write the same
  bool stalled_ = false;
};

// ---- what an answer must be ----

void must_be_good(const Response& response);
// Residuals of GOOD: positive for UNDER, negative for OVER, 0 for neither.
void must_be_good(const Response& response, std::int64_t out_residual, std::int64_t in_residual);
// CHECK CONDITION with one of these, the first one if --strict.
void must_be_refused(const Lab& lab, const Response& response, const std::vector<Sense>& lawful);

namespace sense {
inline constexpr Sense iu_too_short{5, 0x0e, 0x01}, invalid_field_in_iu{5, 0x0e, 0x03},
    invalid_iu{5, 0x0e, 0x00}, invalid_field_in_cdb{5, 0x24, 0x00}, no_such_unit{5, 0x25, 0x00},
    no_such_operation{5, 0x20, 0x00}, overlapped{0x0b, 0x4e, 0x00};
}

}  // namespace conformance
