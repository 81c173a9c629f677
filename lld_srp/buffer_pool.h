// Registered data memory of one device, and the line of commands that wait for some.
//
// tgtd wants a command's data in one piece, from 512 bytes to many megabytes. Memory comes in
// extents of the largest command's size, registered when first needed and kept; each is divided by
// halving (buddies), so that an extent whose commands are over is whole again.
//
// Memory is given to parties, the logical units: a party that has some gets more only if afterwards
// it has no more than three times what is free (a dynamic threshold, as switches share their
// buffers). So a unit alone gets three quarters, and if its store hangs, the next one three
// quarters of the rest. Waiters who may have what they wait for are served strictly in order:
// whoever is first gets memory as others end, however large his command, and nobody starves.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lld_srp/verbs.h"
#include "plugin_api/event_loop.h"

namespace srp {

// A piece of registered memory: page-aligned, content undefined. Null data: nothing.
struct Buffer {
  std::uint8_t* data = nullptr;
  std::size_t bytes = 0;  // usable, at least what was asked for
  std::uint32_t lkey = 0;
  std::uint8_t party = 0;  // who has it; the pool's business
};

// Who memory is given to. Two units may be one party, by chance.
using Party = std::uint8_t;
inline constexpr Party no_party = 0;  // gets whatever there is
Party party_of(int tid, std::uint64_t lun) noexcept;

class BufferPool {
 public:
  // Someone in line. Must leave it before he is destroyed.
  class Waiter : public boost::intrusive::list_base_hook<> {
   public:
    // Called, outside of all other calls, with the memory that was waited for.
    using Ready = void (*)(Waiter&, const Buffer&) noexcept;

    explicit Waiter(Ready ready) noexcept : ready_(ready) {}
    ~Waiter() { SRP_ASSERT(!is_linked()); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    [[nodiscard]] bool waiting() const noexcept { return is_linked(); }

   private:
    friend class BufferPool;
    Ready ready_;
    std::size_t bytes_ = 0;
    Party party_ = no_party;
  };

  // extent_bytes: a power of two, the largest piece. Registers the first extent; throws
  // std::system_error. bytes_max bounds what is ever registered.
  BufferPool(ibv_pd& pd, EventLoop& loop, int access, std::size_t extent_bytes,
             std::size_t bytes_max);
  // Precondition: every buffer is back, and nobody waits.
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Null data: none now, or others are in line, or the party has its share; wait() then.
  // Precondition: bytes <= extent_bytes.
  [[nodiscard]] Buffer allocate(std::size_t bytes, Party party = no_party) noexcept;
  void release(const Buffer& buffer) noexcept;

  // Joins the line for bytes; leaves it, if in it.
  void wait(Waiter& waiter, std::size_t bytes, Party party = no_party) noexcept;
  void leave(Waiter& waiter) noexcept;

  [[nodiscard]] std::size_t extent_bytes() const noexcept { return extent_bytes_; }
  [[nodiscard]] std::size_t bytes_registered() const noexcept;
  [[nodiscard]] std::size_t bytes_in_use() const noexcept { return bytes_in_use_; }
  [[nodiscard]] std::size_t waiters() const noexcept { return line_.size(); }

 private:
  class Extent;
  using Line = boost::intrusive::list<Waiter>;

  Buffer take(std::size_t bytes, Party party) noexcept;
  [[nodiscard]] bool may_have(Party party, std::size_t bytes) const noexcept;
  void remove(Waiter& waiter) noexcept;
  [[nodiscard]] Waiter* next_to_serve() noexcept;
  bool grow() noexcept;
  void serve_line() noexcept;

  ibv_pd& pd_;
  EventLoop& loop_;
  int access_;
  std::size_t extent_bytes_;
  std::size_t bytes_max_;
  std::size_t bytes_in_use_ = 0;
  struct Share {
    std::size_t bytes = 0;    // it has
    std::size_t waiters = 0;  // in line
  };
  std::array<Share, 256> shares_{};  // by party
  std::vector<std::unique_ptr<Extent>> extents_;
  Line line_;
  bool short_ = false;  // somebody in line waits for memory, not for his share
  Job serving_;
  bool growth_failed_ = false;  // reported once, until growth succeeds
};

}  // namespace srp
