// What could happen next. Each part of the world adds what it could do; the simulation draws one.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/fake/random.h"

namespace srp::fake {

class Choices {
 public:
  // Method is a member function of T without parameters.
  template <auto Method, class T>
  void add(unsigned weight, T& object) {
    all_.push_back({weight, [](void* self) { (static_cast<T*>(self)->*Method)(); }, &object});
    sum_ += weight;
  }

  [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
  void clear() noexcept {
    all_.clear();
    sum_ = 0;
  }

  // Precondition: not empty.
  void run_one(Random& random) {
    std::size_t ticket = random.below(sum_);
    for (const Choice& choice : all_) {
      if (ticket < choice.weight) return choice.act(choice.object);
      ticket -= choice.weight;
    }
  }

 private:
  struct Choice {
    unsigned weight;
    void (*act)(void* object);
    void* object;
  };
  std::vector<Choice> all_;
  std::size_t sum_ = 0;
};

}  // namespace srp::fake
