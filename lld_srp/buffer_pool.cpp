#include "lld_srp/buffer_pool.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <utility>

#include "lld_srp/limits.h"

namespace srp {

namespace {

// Pieces are 2^order pages.
unsigned order_of(std::size_t bytes) noexcept {
  const std::size_t pages = (bytes + page_bytes - 1) / page_bytes;
  return pages <= 1 ? 0 : static_cast<unsigned>(std::bit_width(pages - 1));
}

}  // namespace

// One registration, divided into buddies. The books are kept outside of the memory they are about.
class BufferPool::Extent {
 public:
  Extent(ibv_pd& pd, std::size_t bytes, int access)
      : memory_(pd, bytes, access), pages_(bytes / page_bytes), top_(order_of(bytes)) {
    free_[top_].push_front(pages_[0]);
    pages_[0].order = static_cast<std::uint8_t>(top_);
    pages_[0].is_free = true;
  }
  ~Extent() {
    for (auto& list : free_) list.clear();
  }
  Extent(const Extent&) = delete;
  Extent& operator=(const Extent&) = delete;

  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.size(); }

  [[nodiscard]] bool owns(const std::uint8_t* data) const noexcept {
    return data >= memory_.data() && data < memory_.data() + memory_.size();
  }

  Buffer take(unsigned order) noexcept {
    unsigned found = order;
    while (found <= top_ && free_[found].empty()) ++found;
    if (found > top_) return {};
    Page& page = free_[found].front();
    free_[found].pop_front();
    page.is_free = false;
    while (found > order) {
      --found;
      put_free(buddy_of(page, found), found);
    }
    page.order = static_cast<std::uint8_t>(order);
    return {memory_.data() + index_of(page) * page_bytes, page_bytes << order, memory_.lkey()};
  }

  void give_back(const Buffer& buffer) noexcept {
    Page* page = &pages_[static_cast<std::size_t>(buffer.data - memory_.data()) / page_bytes];
    unsigned order = page->order;
    SRP_ASSERT(!page->is_free && buffer.bytes == page_bytes << order);
    while (order < top_) {
      Page& buddy = buddy_of(*page, order);
      if (!buddy.is_free || buddy.order != order) break;
      free_[order].erase(List::s_iterator_to(buddy));
      page->is_free =
          true;  // stays on the page that is swallowed, where a second release would see it
      page = std::min(page, &buddy);
      ++order;
    }
    put_free(*page, order);
  }

 private:
  // The book entry of a page; it counts only for the first page of a piece.
  struct Page : boost::intrusive::list_base_hook<> {
    std::uint8_t order = 0;
    bool is_free = false;
  };
  using List = boost::intrusive::list<Page, boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] std::size_t index_of(const Page& page) const noexcept {
    return static_cast<std::size_t>(&page - pages_.data());
  }
  Page& buddy_of(const Page& page, unsigned order) noexcept {
    return pages_[index_of(page) ^ (std::size_t{1} << order)];
  }
  void put_free(Page& page, unsigned order) noexcept {
    page.order = static_cast<std::uint8_t>(order);
    page.is_free = true;
    free_[order].push_front(page);  // last in, first out: warm in the cache
  }

  verbs::RegisteredMemory memory_;
  std::vector<Page> pages_;
  unsigned top_;
  std::array<List, 40> free_;
};

BufferPool::BufferPool(ibv_pd& pd, EventLoop& loop, int access, std::size_t extent_bytes,
                       std::size_t bytes_max)
    : pd_(pd),
      loop_(loop),
      access_(access),
      extent_bytes_(extent_bytes),
      bytes_max_(std::max(bytes_max & ~(extent_bytes - 1), extent_bytes)),
      serving_([](void* self) noexcept { static_cast<BufferPool*>(self)->serve_line(); }, this) {
  SRP_ASSERT(std::has_single_bit(extent_bytes) && extent_bytes >= page_bytes);
  extents_.reserve(bytes_max_ / extent_bytes);
  extents_.push_back(std::make_unique<Extent>(pd, extent_bytes, access));
}

BufferPool::~BufferPool() { SRP_ASSERT(bytes_in_use_ == 0 && line_.empty()); }

std::size_t BufferPool::bytes_registered() const noexcept {
  return extents_.size() * extent_bytes_;
}

Party party_of(int tid, std::uint64_t lun) noexcept {
  return static_cast<Party>(1 + (lun + static_cast<unsigned>(tid) * 31U) % 255);
}

// Of what cannot be registered nobody gets a share.
bool BufferPool::may_have(Party party, std::size_t bytes) const noexcept {
  const std::size_t held = shares_[party].bytes;
  if (party == no_party || held == 0) return true;
  const std::size_t all = growth_failed_ ? bytes_registered() : bytes_max_;
  const std::size_t piece = page_bytes << order_of(bytes);
  return held + 4 * piece <= 3 * (all - bytes_in_use_);
}

Buffer BufferPool::allocate(std::size_t bytes, Party party) noexcept {
  if (!line_.empty() && (short_ || shares_[party].waiters != 0)) return {};
  if (!may_have(party, bytes) && !(growth_failed_ && grow() && may_have(party, bytes))) return {};
  return take(bytes, party);
}

Buffer BufferPool::take(std::size_t bytes, Party party) noexcept {
  SRP_ASSERT(bytes <= extent_bytes_);
  const unsigned order = order_of(bytes);
  do {
    for (auto& extent : extents_) {
      Buffer buffer = extent->take(order);
      if (buffer.data != nullptr) {
        buffer.party = party;
        shares_[party].bytes += buffer.bytes;
        bytes_in_use_ += buffer.bytes;
        return buffer;
      }
    }
  } while (grow());
  return {};
}

bool BufferPool::grow() noexcept try {
  if (bytes_registered() + extent_bytes_ > bytes_max_) return false;
  extents_.push_back(std::make_unique<Extent>(pd_, extent_bytes_, access_));
  if (std::exchange(growth_failed_, false)) loop_.defer(serving_);  // shares are larger now
  return true;
} catch (const std::exception& error) {
  if (!growth_failed_) {
    log_error("data memory stays at %zu MiB of %zu: %s; commands wait for each other",
              bytes_registered() >> 20, bytes_max_ >> 20, error.what());
  }
  growth_failed_ = true;
  return false;
}

void BufferPool::release(const Buffer& buffer) noexcept {
  if (buffer.data == nullptr) return;
  for (auto& extent : extents_) {
    if (!extent->owns(buffer.data)) continue;
    extent->give_back(buffer);
    bytes_in_use_ -= buffer.bytes;
    shares_[buffer.party].bytes -= buffer.bytes;
    if (!line_.empty()) loop_.defer(serving_);
    return;
  }
  SRP_ASSERT(false && "a buffer of another pool");
}

void BufferPool::wait(Waiter& waiter, std::size_t bytes, Party party) noexcept {
  waiter.bytes_ = bytes;
  waiter.party_ = party;
  // Who is behind another of his own party may have been refused for that alone.
  const bool behind_own = shares_[party].waiters++ != 0;
  if (line_.empty()) short_ = false;
  short_ = short_ || (!behind_own && may_have(party, bytes));
  line_.push_back(waiter);
}

void BufferPool::leave(Waiter& waiter) noexcept {
  if (!waiter.is_linked()) return;
  remove(waiter);
  loop_.defer(serving_);  // those behind may need less
}

void BufferPool::remove(Waiter& waiter) noexcept {
  --shares_[waiter.party_].waiters;
  line_.erase(Line::s_iterator_to(waiter));
}

// The first in line who may have what he waits for. Nobody overtakes another of his own party.
BufferPool::Waiter* BufferPool::next_to_serve() noexcept {
  std::array<bool, 256> passed_over{};
  for (Waiter& waiter : line_) {
    if (passed_over[waiter.party_]) continue;
    if (may_have(waiter.party_, waiter.bytes_)) return &waiter;
    passed_over[waiter.party_] = true;
  }
  return nullptr;
}

void BufferPool::serve_line() noexcept {
  short_ = false;
  while (Waiter* const next = next_to_serve()) {
    const Buffer buffer = take(next->bytes_, next->party_);
    short_ = buffer.data == nullptr;
    if (short_) return;
    remove(*next);
    next->ready_(*next, buffer);
  }
}

}  // namespace srp
