// What every block of every logical unit may hold, at any time: the model that the data are checked
// against.
//
// Each write has a number, and each block of it says of itself which write, unit and address it
// belongs to. A block found anywhere can therefore be traced back, and one that is stale, torn,
// misplaced or written too late is recognised.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace srp::fake {

inline constexpr std::size_t block_bytes = 512;

// A logical unit by its address: what an initiator names in a command.
struct Unit {
  int tid = 0;
  std::uint64_t lun = 0;
  bool operator==(const Unit&) const = default;
  bool operator<(const Unit& other) const noexcept {
    return tid != other.tid ? tid < other.tid : lun < other.lun;
  }
};

struct Write {
  Unit unit;
  std::uint64_t lba = 0;
  std::uint64_t blocks = 0;
  int initiator = -1;       // -1: content that a unit is created with
  std::uint64_t since = 0;  // the ledger's time when it was sent
  std::uint64_t lost = 0;   // and when its initiator gave up on it, together with its channel
  unsigned commits = 0;
  std::string closed{};  // not empty: why it must not reach the unit any more
  unsigned channel = 0;  // that it was sent on, where its order among others counts
  bool barrier = false;  // sent as ORDERED
  bool ahead = false;    // sent as HEAD OF QUEUE: it waits for nobody
  bool excused = false;  // it may never be executed: aborted, refused
};

class Ledger {
 public:
  // A new write; its number.
  std::uint64_t issue(const Write& write);
  [[nodiscard]] const Write& write(std::uint64_t number) const { return writes_[number]; }
  // It may not be executed after all, so nobody has to wait for it.
  void excuse(std::uint64_t number) noexcept { writes_[number].excused = true; }
  // From now on the write must not reach the unit.
  void close(std::uint64_t number, const std::string& why);
  // Its channel is gone: it may still be executed, until the initiator works on the unit again.
  void lose(std::uint64_t number);
  // A command that the initiator sent at `since` works on the unit: writes lost before that must
  // not reach it any more.
  void fence(const Unit& unit, int initiator, std::uint64_t since);

  static void fill(std::span<std::uint8_t> blocks, std::uint64_t number, const Unit& unit,
                   std::uint64_t lba);

  // A unit appears, filled with the write `number`.
  void create(const Unit& unit, std::uint64_t number, std::uint64_t blocks);
  // Before a store takes the blocks: fails unless they are one open write's for this place. The
  // number.
  std::uint64_t identify(const Unit& unit, std::uint64_t lba,
                         std::span<const std::uint8_t> blocks) const;
  // The store writes.
  void commit(const Unit& unit, std::uint64_t lba, std::span<const std::uint8_t> blocks);
  // What an initiator read since `since`: fails unless each block was there at some time since
  // then.
  void check_read(const Unit& unit, std::uint64_t lba, std::span<const std::uint8_t> blocks,
                  std::uint64_t since) const;

  [[nodiscard]] std::uint64_t now() const noexcept { return now_; }

  bool orderly = true;  // no command was refused by an administrator's doing

 private:
  void check_order(std::uint64_t number) const;

  struct Entry {
    std::uint64_t time;
    std::uint64_t number;
  };
  using BlockHistory = std::vector<Entry>;

  std::uint64_t now_ = 1;
  std::vector<Write> writes_ = std::vector<Write>(1);  // number 0 is nobody's
  std::map<Unit, std::vector<BlockHistory>> history_;
};

}  // namespace srp::fake
