#include "lld_srp/verbs.h"

#include <sys/mman.h>

namespace srp::verbs {

namespace {

std::uint8_t* map_pages(std::size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return static_cast<std::uint8_t*>(pages);
}

}  // namespace

RegisteredMemory::RegisteredMemory(ibv_pd& pd, std::size_t bytes, int access)
    : data_(map_pages(bytes)), size_(bytes), mr_(ibv_reg_mr(&pd, data_, size_, access)) {
  if (mr_) return;
  const int error = errno;
  munmap(data_, size_);
  throw std::system_error(error, std::generic_category(), "ibv_reg_mr");
}

RegisteredMemory::~RegisteredMemory() {
  mr_.reset();
  munmap(data_, size_);
}

}  // namespace srp::verbs
