// tgtadm's requests that name no driver.
//
// They go to tgtd's first one, iSCSI. tgt-admin names none when it deletes targets and connections,
// and stock service scripts delete everything that way, so iSCSI would refuse what concerns us and
// tgt-admin would give up half way. While a DefaultDriver exists, such requests reach our own table
// of callbacks where they are about a target of ours; iSCSI gets all others. tgtd's table of
// drivers is data, and writing to it is all that this takes.
#pragma once

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

class DefaultDriver {
 public:
  struct Callbacks {
    bool (*wanted)() noexcept;          // are requests to be taken at all? Asked each time.
    void (*system_updated)() noexcept;  // tgtd's state may have changed
  };
  // There is one at a time. callbacks: outlives it.
  explicit DefaultDriver(const Callbacks& callbacks) noexcept;
  ~DefaultDriver();
  // Does our table serve a request that named no driver, at this moment? Then it is probably
  // tgt-admin's, which goes on to the next one at once.
  [[nodiscard]] static bool in_request() noexcept;
  DefaultDriver(const DefaultDriver&) = delete;
  DefaultDriver& operator=(const DefaultDriver&) = delete;
};

}  // namespace srp::tgt
