// The data model; see ledger.h.
#include "tests/fake/ledger.h"

#include <cstring>

#include "tests/fake/world.h"

namespace srp::fake {

namespace {

// The first words of a block; the others follow from them.
struct Stamp {
  std::uint64_t number;
  std::uint64_t tid;
  std::uint64_t lun;
  std::uint64_t lba;
};

void fill_block(std::uint8_t* block, const Stamp& stamp) {
  std::memcpy(block, &stamp, sizeof stamp);
  std::uint64_t word = (stamp.number * 0x9e3779b97f4a7c15) ^ (stamp.lba << 17) ^ stamp.lun;
  for (std::size_t at = sizeof stamp; at < block_bytes; at += sizeof word) {
    word = word * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
    std::memcpy(block + at, &word, sizeof word);
  }
}

// What a block says of itself; fails if the rest of the block does not agree.
Stamp read_block(const char* who, const std::uint8_t* block) {
  Stamp stamp;
  std::memcpy(&stamp, block, sizeof stamp);
  std::uint8_t expected[block_bytes];
  fill_block(expected, stamp);
  if (std::memcmp(expected, block, block_bytes) != 0 || stamp.number == 0) {
    fail("%s: a block is torn or is no block at all, it begins %016llx %016llx", who,
         static_cast<unsigned long long>(stamp.number), static_cast<unsigned long long>(stamp.tid));
  }
  return stamp;
}

unsigned long long wide(std::uint64_t number) { return number; }

}  // namespace

std::uint64_t Ledger::issue(const Write& write) {
  writes_.push_back(write);
  return writes_.size() - 1;
}

void Ledger::close(std::uint64_t number, const std::string& why) {
  if (number != 0 && writes_[number].closed.empty()) writes_[number].closed = why;
}

void Ledger::lose(std::uint64_t number) {
  if (number != 0 && writes_[number].lost == 0) writes_[number].lost = ++now_;
}

void Ledger::fence(const Unit& unit, int initiator, std::uint64_t since) {
  for (auto& write : writes_) {
    if (write.unit == unit && write.initiator == initiator && write.lost != 0 &&
        write.lost <= since && write.commits == 0 && write.closed.empty()) {
      write.closed = "its channel was gone and its initiator worked on the unit again";
    }
  }
}

void Ledger::fill(std::span<std::uint8_t> blocks, std::uint64_t number, const Unit& unit,
                  std::uint64_t lba) {
  for (std::size_t at = 0; at + block_bytes <= blocks.size(); at += block_bytes) {
    fill_block(blocks.data() + at, {number, static_cast<std::uint64_t>(unit.tid), unit.lun, lba++});
  }
}

void Ledger::create(const Unit& unit, std::uint64_t number, std::uint64_t blocks) {
  auto& history = history_[unit];
  history.resize(blocks);
  ++now_;
  for (auto& block : history) block.push_back({now_, number});
}

std::uint64_t Ledger::identify(const Unit& unit, std::uint64_t lba,
                               std::span<const std::uint8_t> blocks) const {
  std::uint64_t number = 0;
  for (std::size_t at = 0; at + block_bytes <= blocks.size(); at += block_bytes, ++lba) {
    const Stamp stamp = read_block("data-out", blocks.data() + at);
    if (stamp.number >= writes_.size()) fail("data-out: write %llu never was", wide(stamp.number));
    if (stamp.lba != lba || stamp.lun != unit.lun ||
        stamp.tid != static_cast<std::uint64_t>(unit.tid)) {
      fail(
          "data-out of write %llu: the block of target %llu, LUN %llu, LBA %llu is at %d, %llu, "
          "%llu",
          wide(stamp.number), wide(stamp.tid), wide(stamp.lun), wide(stamp.lba), unit.tid,
          wide(unit.lun), wide(lba));
    }
    if (number != 0 && stamp.number != number) fail("data-out: blocks of two writes");
    number = stamp.number;
  }
  if (number != 0 && !writes_[number].closed.empty()) {
    fail("write %llu reaches tgtd although %s", wide(number), writes_[number].closed.c_str());
  }
  return number;
}

// Older writes of the channel come first where one of the two is ORDERED.
void Ledger::check_order(std::uint64_t number) const {
  constexpr std::uint64_t reach = 256;  // more than can be open at a time
  const Write& late = writes_[number];
  if (!orderly || late.channel == 0 || late.ahead) return;
  for (std::uint64_t i = number > reach ? number - reach : 1; i < number; ++i) {
    const Write& early = writes_[i];
    if (early.unit != late.unit || early.initiator != late.initiator ||
        early.channel != late.channel || early.commits != 0 || early.excused || early.lost != 0 ||
        !early.closed.empty() || !(early.barrier || late.barrier)) {
      continue;
    }
    fail("write %llu overtakes write %llu, and one of them is ORDERED", wide(number), wide(i));
  }
}

void Ledger::commit(const Unit& unit, std::uint64_t lba, std::span<const std::uint8_t> blocks) {
  const std::uint64_t number = identify(unit, lba, blocks);
  if (number == 0) return;
  Write& write = writes_[number];
  if (write.blocks * block_bytes != blocks.size()) {
    fail("write %llu: %zu bytes are written, it has %llu blocks", wide(number), blocks.size(),
         wide(write.blocks));
  }
  if (write.commits++ != 0) fail("write %llu is executed twice", wide(number));
  check_order(number);
  ++now_;
  auto& history = history_[unit];
  for (std::uint64_t i = 0; i < write.blocks; ++i) history[lba + i].push_back({now_, number});
}

void Ledger::check_read(const Unit& unit, std::uint64_t lba, std::span<const std::uint8_t> blocks,
                        std::uint64_t since) const {
  const auto found = history_.find(unit);
  if (found == history_.end()) fail("data-in of a unit that never was");
  for (std::size_t at = 0; at + block_bytes <= blocks.size(); at += block_bytes, ++lba) {
    const Stamp stamp = read_block("data-in", blocks.data() + at);
    if (lba >= found->second.size()) fail("data-in beyond the end of the unit");
    bool possible = false;
    for (auto entry = found->second[lba].rbegin(); entry != found->second[lba].rend(); ++entry) {
      possible = possible || entry->number == stamp.number;
      if (entry->time <= since) break;  // what it held when the command was sent
    }
    if (!possible || stamp.lba != lba) {
      fail("data-in: LBA %llu of target %d, LUN %llu reads as LBA %llu of write %llu", wide(lba),
           unit.tid, wide(unit.lun), wide(stamp.lba), wide(stamp.number));
    }
  }
}

}  // namespace srp::fake
