// Read-only views of tgtd's targets and logical units.
//
// tgtd frees both without telling the driver (a target can be deleted through another driver's
// name, a logical unit always), so a view is looked up afresh in every event and never kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

// The table that tgtd knows the driver by; driver.cpp fills it. tgtd keeps its target_list.
inline constinit tgt_driver driver_table{};

// The struct of which `link` is the member at `offset`.
template <class T>
T& container_of(list_head* link, std::size_t offset) noexcept {
  return *reinterpret_cast<T*>(reinterpret_cast<char*>(link) - offset);
}

// Calls visit(T&) for each element of a tgt list until it returns true; null if it never does.
template <class T, class Visit>
T* find_in_list(list_head& head, std::size_t offset, Visit&& visit) {
  for (list_head* link = head.next; link != nullptr && link != &head; link = link->next) {
    T& element = container_of<T>(link, offset);
    if (visit(element)) return &element;
  }
  return nullptr;
}

// Our target with this id; null if there is none (any more).
inline target* find_target(int tid) noexcept {
  return find_in_list<target>(driver_table.target_list, offsetof(target, lld_siblings),
                              [tid](const target& t) { return t.tid == tid; });
}

// The logical unit of t with this number; null if there is none.
inline scsi_lu* find_lu(target& t, std::uint64_t lun) noexcept {
  return find_in_list<scsi_lu>(t.device_list, offsetof(scsi_lu, device_siblings),
                               [lun](const scsi_lu& lu) { return lu.lun == lun; });
}

// A unit of any of our targets for which match(scsi_lu&) holds; null if there is none.
template <class Match>
scsi_lu* find_lu_of_any(Match&& match) {
  scsi_lu* found = nullptr;
  (void)find_in_list<target>(
      driver_table.target_list, offsetof(target, lld_siblings), [&](target& t) {
        found = find_in_list<scsi_lu>(t.device_list, offsetof(scsi_lu, device_siblings), match);
        return found != nullptr;
      });
  return found;
}

// Name of the backing store type ("rdwr", "null" ...); empty for a unit that has none.
inline std::string_view bs_name(const scsi_lu& lu) noexcept {
  return lu.bst && lu.bst->bs_name ? std::string_view{lu.bst->bs_name} : std::string_view{};
}

// Pass-through units (sg, bsg) bypass tgtd's command lists: it neither counts nor protects theirs.
inline bool is_passthrough(const scsi_lu& lu) noexcept {
  const auto name = bs_name(lu);
  return name == "sg" || name == "bsg";
}

// SPC peripheral device types that we treat apart.
enum class DeviceType : std::uint8_t { disk = 0x00, tape = 0x01, cd = 0x05, changer = 0x08 };

inline DeviceType device_type(const scsi_lu& lu) noexcept {
  return static_cast<DeviceType>(lu.attrs.device_type);
}

// The block length in the unit's mode parameters: a tape's, 0 for blocks of any length.
inline std::uint32_t block_descriptor_length(const scsi_lu& lu) noexcept {
  const std::uint8_t* const bytes = lu.mode_block_descriptor;
  return std::uint32_t{bytes[5]} << 16 | std::uint32_t{bytes[6]} << 8 | bytes[7];
}

}  // namespace srp::tgt
