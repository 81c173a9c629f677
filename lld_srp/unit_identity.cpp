#include "lld_srp/unit_identity.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "lld_srp/hash.h"
#include "lld_srp/wire.h"

namespace srp {

namespace {

// A page of vital product data is kept by tgtd as lu_vpd[page code - 80h].
constexpr unsigned serial_number_page = 0x00;
constexpr unsigned device_identification_page = 0x03;

// Designators, SPC-4 table 605: code set (and protocol), type (and association), reserved, length.
constexpr std::uint8_t binary = 0x01;
constexpr std::uint8_t ascii = 0x02;
constexpr std::uint8_t t10_vendor = 0x01;
constexpr std::uint8_t eui64 = 0x02;
constexpr std::uint8_t naa = 0x03;
constexpr std::uint8_t relative_target_port = 0x04;
constexpr std::uint8_t target_port_group = 0x05;
constexpr std::uint8_t of_target_port = 0x90;  // association, and the protocol is valid
constexpr std::uint8_t srp_protocol = 0x40;

constexpr std::size_t header_bytes = 4;
constexpr std::size_t t10_bytes = sizeof(tgt::lu_phy_attr::scsi_id) - 1;
constexpr std::size_t naa_local_bytes = 8;
constexpr std::size_t naa_extended_bytes = 16;
constexpr std::size_t relative_bytes = 4;
constexpr std::size_t unit_bytes =
    3 * header_bytes + t10_bytes + naa_local_bytes + naa_extended_bytes;
constexpr std::size_t page_size =
    unit_bytes + 3 * header_bytes + sizeof(PortId) + 2 * relative_bytes;

// Writes designators one behind the other.
class PageWriter {
 public:
  explicit PageWriter(std::uint8_t* at) noexcept : at_(at) {}

  // The body, zeroed.
  std::uint8_t* add(std::uint8_t code_set, std::uint8_t type, std::size_t bytes) noexcept {
    std::uint8_t* body = at_ + header_bytes;
    at_[0] = code_set;
    at_[1] = type;
    at_[2] = 0;
    at_[3] = static_cast<std::uint8_t>(bytes);
    std::memset(body, 0, bytes);
    at_ = body + bytes;
    return body;
  }

 private:
  std::uint8_t* at_;
};

std::uint8_t hex_value(char letter) noexcept {
  if (letter >= '0' && letter <= '9') return static_cast<std::uint8_t>(letter - '0');
  const char lower = static_cast<char>(letter | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<std::uint8_t>(lower - 'a' + 10) : 0;
}

void put_naa(std::uint8_t* body, std::uint8_t kind) noexcept {
  body[0] = static_cast<std::uint8_t>((body[0] & 0x0f) | kind << 4);
}

// Of the unit itself, as tgtd makes them, so that an identifier set by tgtadm reads the same: the
// identifier as text, the numeric one, and the text's last 32 letters as a number.
void write_unit_designators(const tgt::lu_phy_attr& attrs, std::string_view id,
                            std::uint8_t* data) noexcept {
  PageWriter page{data};
  std::uint8_t* text = page.add(ascii, t10_vendor, t10_bytes);
  std::memcpy(text, id.data(), std::min(id.size(), t10_bytes));

  std::uint8_t* local = page.add(binary, naa, naa_local_bytes);
  const wire::Be<std::uint64_t> number = attrs.numeric_id;
  std::memcpy(local, &number, sizeof number);
  local[0] |= 0x3 << 4;  // locally assigned

  std::uint8_t* extended = page.add(binary, naa, naa_extended_bytes);
  const std::size_t digits = std::min(id.size(), 2 * naa_extended_bytes);
  for (std::size_t i = 0; i < digits; ++i) {
    const std::uint8_t value = hex_value(id[id.size() - 1 - i]);
    extended[naa_extended_bytes - 1 - i / 2] |=
        static_cast<std::uint8_t>(i % 2 == 0 ? value : value << 4);
  }
  put_naa(extended, 0x6);  // IEEE registered extended
}

void write_port_designators(const PortId& port, std::uint8_t* data) noexcept {
  constexpr std::uint8_t first = 1;  // a target has one port, in one group
  PageWriter page{data};
  // SPC-4 7.6.2: extension and EUI-64, which is what an SRP port identifier is.
  std::memcpy(page.add(srp_protocol | binary, of_target_port | eui64, port.size()), port.data(),
              port.size());
  page.add(srp_protocol | binary, of_target_port | relative_target_port, relative_bytes)[3] = first;
  page.add(srp_protocol | binary, of_target_port | target_port_group, relative_bytes)[3] = first;
}

// tgtd calls it when tgtadm sets another scsi_id.
void on_update(tgt::scsi_lu* lu, void* id) noexcept {
  tgt::vpd* page = lu->attrs.lu_vpd[device_identification_page];
  write_unit_designators(lu->attrs, static_cast<const char*>(id), page->data);
}

}  // namespace

void make_unique(tgt::scsi_lu& lu, std::uint64_t host, const std::string& target_name) {
  const std::string unit = std::to_string(host) + ' ' + target_name + ' ' + std::to_string(lu.lun);
  const std::uint64_t first = stable_hash("unit " + unit);
  const std::uint64_t second = stable_hash("unit, once more " + unit);
  tgt::lu_phy_attr& attrs = lu.attrs;
  // The vendor's name comes first in a T10 designator, in eight letters.
  std::snprintf(attrs.scsi_id, sizeof attrs.scsi_id, "%-8.8s%016llx%08llx", attrs.vendor_id,
                static_cast<unsigned long long>(first),
                static_cast<unsigned long long>(second >> 32));
  std::snprintf(attrs.scsi_sn, sizeof attrs.scsi_sn, "%016llx",
                static_cast<unsigned long long>(first));
  attrs.numeric_id = first & ~(std::uint64_t{0xf} << 60);
  for (const auto& [page, text] : {std::pair{serial_number_page, attrs.scsi_sn},
                                   std::pair{device_identification_page, attrs.scsi_id}}) {
    tgt::vpd* vpd = attrs.lu_vpd[page];
    if (vpd != nullptr && vpd->vpd_update != nullptr) vpd->vpd_update(&lu, text);
  }
}

void name_target_port(tgt::scsi_lu& lu, const PortId& port) noexcept {
  tgt::vpd*& slot = lu.attrs.lu_vpd[device_identification_page];
  if (slot == nullptr || slot->size != unit_bytes) return;
  // tgtd frees it with the unit.
  auto* page = static_cast<tgt::vpd*>(std::calloc(1, offsetof(tgt::vpd, data) + page_size));
  if (page == nullptr) return;
  page->size = page_size;
  page->vpd_update = on_update;
  write_unit_designators(lu.attrs, lu.attrs.scsi_id, page->data);
  write_port_designators(port, page->data + unit_bytes);
  std::free(slot);
  slot = page;
}

}  // namespace srp
