#include "lld_srp/infiniband.h"

#include <endian.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

#include "lld_srp/verbs.h"

namespace srp {

namespace {

constexpr unsigned partition_bits = 0x7fff;  // the other one tells full members from limited ones

std::vector<std::uint16_t> partitions_of(ibv_context& context, std::uint8_t port, unsigned count) {
  std::vector<std::uint16_t> found;
  for (unsigned i = 0; i < count; ++i) {
    __be16 pkey = 0;
    if (ibv_query_pkey(&context, port, static_cast<int>(i), &pkey) != 0) break;
    const std::uint16_t value = be16toh(pkey);
    const bool valid = (value & partition_bits) != 0;
    if (valid && std::ranges::find(found, value) == found.end()) found.push_back(value);
  }
  return found;
}

void add_port(ibv_context& context, std::uint8_t port, std::vector<Path>& paths) {
  ibv_port_attr attr{};
  if (ibv_query_port(&context, port, &attr) != 0) return;
  if (attr.link_layer != IBV_LINK_LAYER_INFINIBAND) return;
  Path path;
  describe_port(context, port, path);
  if (path.port_gid == Bytes16{}) return;  // no subnet manager has been there yet
  path.local_gid = path.port_gid;
  sockaddr_ib address{};
  address.sib_family = AF_IB;
  std::memcpy(&address.sib_addr, path.port_gid.data(), path.port_gid.size());
  std::memcpy(&path.local, &address, sizeof address);
  for (const std::uint16_t pkey : partitions_of(context, port, attr.pkey_tbl_len)) {
    path.pkey = pkey;
    paths.push_back(path);
  }
}

}  // namespace

sockaddr_storage infiniband_address(std::uint16_t service) {
  sockaddr_ib address{};
  address.sib_family = AF_IB;
  address.sib_sid = htobe64(infiniband_service_id(service));
  address.sib_sid_mask = ~std::uint64_t{0};
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  return storage;
}

std::uint64_t infiniband_service_id(std::uint16_t service) noexcept {
  return RDMA_IB_PS_IB | service;
}

std::vector<Path> infiniband_paths() {
  std::vector<Path> paths;
  int count = 0;
  const std::unique_ptr<ibv_device*, void (*)(ibv_device**)> devices{ibv_get_device_list(&count),
                                                                     ibv_free_device_list};
  for (int i = 0; devices && i < count; ++i) {
    ibv_device* const device = devices.get()[i];
    if (device->transport_type == IBV_TRANSPORT_IWARP) continue;
    const verbs::Context context{ibv_open_device(device)};
    ibv_device_attr attr{};
    if (!context || ibv_query_device(context.get(), &attr) != 0) continue;
    for (unsigned port = 1; port <= attr.phys_port_cnt; ++port) {
      add_port(*context, static_cast<std::uint8_t>(port), paths);
    }
  }
  return paths;
}

std::string infiniband_destination(const Path& path, std::uint16_t service) {
  std::string text = "dgid=";
  char digits[64];
  for (const std::uint8_t byte : path.local_gid) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  std::snprintf(digits, sizeof digits, ",pkey=%04x,service_id=%016llx", path.pkey,
                static_cast<unsigned long long>(infiniband_service_id(service)));
  return text + digits;
}

}  // namespace srp
