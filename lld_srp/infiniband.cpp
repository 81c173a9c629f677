#include "lld_srp/infiniband.h"

#include <endian.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "lld_srp/verbs.h"

namespace srp {

namespace {

constexpr unsigned partition_bits = 0x7fff;  // the other one tells full members from limited ones

// Of a partition that the port is in twice, the full membership.
std::vector<std::uint16_t> partitions_of(ibv_context& context, std::uint8_t port, unsigned count) {
  std::vector<std::uint16_t> found;
  for (unsigned i = 0; i < count; ++i) {
    __be16 pkey = 0;
    if (ibv_query_pkey(&context, port, static_cast<int>(i), &pkey) != 0) break;
    const std::uint16_t value = be16toh(pkey);
    if ((value & partition_bits) == 0) continue;
    const auto known = std::ranges::find_if(
        found, [value](unsigned other) { return ((other ^ value) & partition_bits) == 0; });
    known == found.end() ? found.push_back(value) : void(*known = std::max(*known, value));
  }
  return found;
}

// So that devices which have none need not be opened, sysfs is looked at first.
bool may_have_infiniband(const ibv_device& device) {
  for (unsigned port = 1;; ++port) {
    std::ifstream file{std::string{device.ibdev_path} + "/ports/" + std::to_string(port) +
                       "/link_layer"};
    std::string link_layer;
    if (!(file >> link_layer)) return port == 1;  // nothing can be read: who knows
    if (link_layer == "InfiniBand") return true;
  }
}

void add_port(ibv_context& context, std::uint8_t port, std::vector<Path>& paths) {
  ibv_port_attr attr{};
  if (ibv_query_port(&context, port, &attr) != 0) return;
  if (attr.link_layer != IBV_LINK_LAYER_INFINIBAND || attr.state != IBV_PORT_ACTIVE) return;
  Path path;
  describe_port(context, port, path);
  if (path.port_gid == Bytes16{}) return;
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
    if (device->transport_type == IBV_TRANSPORT_IWARP || !may_have_infiniband(*device)) continue;
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
