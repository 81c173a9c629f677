#include "plugin_api/shield.h"

#include "plugin_api/target_view.h"

namespace srp::tgt {

namespace {

constexpr std::uint8_t service_action_mask = 0x1f;
constexpr std::uint8_t register_and_move = 0x07;

}  // namespace

bool reservation_crashes(const scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept {
  return cdb[0] == op_persistent_reserve_out &&
         (cdb[1] & service_action_mask) == register_and_move && lu.pr_holder == nullptr;
}

ReservationGuard::ReservationGuard(scsi_lu& lu) noexcept : lu_(lu) {
  if (lu.pr_holder == nullptr) return;
  scope_ = lu.pr_holder->pr_scope;
  type_ = lu.pr_holder->pr_type;
}

void ReservationGuard::mend() noexcept {
  if (lu_.pr_holder == nullptr) return;
  constexpr auto at = offsetof(registration, registration_siblings);
  const auto* holder = lu_.pr_holder;  // compared only: it may be freed
  registration* known = find_in_list<registration>(
      lu_.registration_list, at, [holder](const registration& r) { return &r == holder; });
  if (known != nullptr && known->pr_type != 0) return;
  if (known == nullptr) {
    lu_.pr_holder = find_in_list<registration>(lu_.registration_list, at,
                                               [](const registration&) { return true; });
  }
  if (lu_.pr_holder == nullptr) return;
  lu_.pr_holder->pr_scope = scope_;
  lu_.pr_holder->pr_type = type_;
}

bool element_status_overruns(const scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept {
  constexpr std::uint8_t op_read_element_status = 0xb8;
  constexpr std::uint8_t element_type_mask = 0x0f;
  return device_type(lu) == DeviceType::changer && cdb[0] == op_read_element_status &&
         (cdb[1] & element_type_mask) == 0;
}

bool reads_past_end(const scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept {
  constexpr std::uint8_t op_read_10 = 0x28;
  constexpr std::uint8_t op_read_12 = 0xa8;
  constexpr unsigned block_shift = 11;
  if (device_type(lu) != DeviceType::cd || (cdb[0] != op_read_10 && cdb[0] != op_read_12)) {
    return false;
  }
  const auto be32 = [cdb](unsigned at) {
    return std::uint64_t{cdb[at]} << 24 | std::uint64_t{cdb[at + 1]} << 16 |
           std::uint64_t{cdb[at + 2]} << 8 | cdb[at + 3];
  };
  const std::uint64_t blocks = cdb[0] == op_read_12 ? be32(6) : std::uint64_t{cdb[7]} << 8 | cdb[8];
  return be32(2) + blocks > lu.size >> block_shift;
}

bool moves_medium_in_use(std::span<const std::uint8_t> cdb) noexcept {
  constexpr std::uint8_t op_move_medium = 0xa5;
  if (cdb[0] != op_move_medium) return false;
  return find_lu_of_any([](const scsi_lu& lu) {
           return lu.attrs.removable != 0 && lu.cmd_queue.active_cmd != 0 &&
                  device_type(lu) != DeviceType::changer;
         }) != nullptr;
}

bool make_aio_write(const scsi_lu& lu, std::span<std::uint8_t> cdb) noexcept {
  if (bs_name(lu) != "aio") return true;
  switch (cdb[0]) {
    case 0x8b:  // ORWRITE(16)
      return false;
    case 0x2f:  // VERIFY(10), (12), (16)
    case 0xaf:
    case 0x8f: return (cdb[1] & 0x06) == 0;
    case 0x2e:  // WRITE AND VERIFY(10), (12), (16)
    case 0xae:
    case 0x8e:
      cdb[0] = static_cast<std::uint8_t>(cdb[0] - 4);
      cdb[1] &= 0x10;  // DPO is all that both have
      return true;
    default: return true;
  }
}

}  // namespace srp::tgt
