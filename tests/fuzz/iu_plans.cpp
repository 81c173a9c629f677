// What is made of a command that was parsed: the walk over its descriptors, what its CDB says, and
// the plan for its data.
#include <algorithm>

#include "lld_srp/cdb.h"
#include "lld_srp/channel.h"
#include "lld_srp/plan.h"
#include "plugin_api/target_view.h"
#include "tests/fuzz/iu_checks.h"

namespace srp::fuzz {

namespace {

constexpr std::uint64_t page = 4096;
// tgtd refuses a buffer shorter than the allocation length; no such length needs more than this.
constexpr std::uint64_t parameters_max = 65536;

// The ranges that RDMA goes to are pieces of the descriptors, in order, and as many bytes as asked.
void check_ranges(std::span<const wire::MemoryDesc> descriptors, std::uint64_t bytes,
                  std::uint32_t bytes_max) {
  std::uint64_t passed = 0;
  std::size_t piece = 0;
  std::uint64_t in_piece = 0;
  DescriptorCursor cursor{descriptors, bytes};
  // A range of a few bytes of a buffer of gigabytes would be walked for ever.
  for (int i = 0; i < 1000 && !cursor.done(); ++i) {
    const auto range = cursor.next(bytes_max);
    while (in_piece == descriptors[piece].bytes) {
      ++piece;
      in_piece = 0;
    }
    const wire::MemoryDesc& descriptor = descriptors[piece];
    require(range.bytes != 0 && range.bytes <= bytes_max && range.offset == passed,
            "a range is empty, too long or out of order");
    require(range.key == descriptor.key && range.address == descriptor.address + in_piece &&
                range.bytes <= descriptor.bytes - in_piece,
            "a range is not a piece of its descriptor");
    in_piece += range.bytes;
    passed += range.bytes;
    require(passed <= bytes, "ranges sum up to more than the buffer has");
  }
  require(!cursor.done() || passed == bytes, "ranges sum up to less than the buffer has");
}

// ---- CDBs ----

void check_allocation(View cdb, const Medium& medium, const CdbData& before) {
  if (before.in_bytes == as_offered) return;
  for (const std::uint64_t room : {before.in_bytes / 2, before.in_bytes - 1}) {
    if (room >= before.in_bytes) continue;
    Bytes shorter = copy(cdb);
    set_allocation_length(shorter, room);
    const CdbData after = describe_cdb(shorter, medium);
    require(
        shorter[0] == cdb[0] && after.kind == before.kind && after.out_bytes == before.out_bytes,
        "a shorter allocation length makes another command");
    require(after.in_bytes == room || std::ranges::equal(shorter, cdb),
            "an allocation length is not what was set");
  }
}

// ---- plans ----

std::uint64_t whole_pages(std::uint64_t bytes) {
  return (std::max<std::uint64_t>(bytes, 1) + page - 1) / page * page;
}

bool reads_only(const DataPlan& plan) { return plan.kind == CdbKind::medium_read; }
bool writes_only(const DataPlan& plan) { return plan.kind == CdbKind::medium_write; }

// A command on a unit, as tgtd will see it, and the plan for it.
struct Planned {
  const CmdRequest& request;
  const tgt::scsi_lu* lu;
  std::uint64_t bytes_max;
  std::uint16_t sense = 0;
  DataPlan plan{};

  [[nodiscard]] std::uint64_t out_moves() const {
    return std::min(request.out.bytes, plan.out_wanted);
  }
  [[nodiscard]] std::uint64_t in_moves() const {
    return std::min(request.in.bytes, plan.in_wanted);
  }
};

// What the CDB wants is what it says, or what is offered; of a unit that is not there, nothing to
// write and little to read.
void check_wanted(const Planned& planned) {
  const auto& [request, lu, bytes_max, sense, plan] = planned;
  const CdbData data = describe(request.cdb, medium_of(lu));
  require(plan.kind == data.kind && plan.medium == medium_of(lu), "a plan for another command");
  const std::uint64_t out = data.out_bytes == as_offered ? request.out.bytes : data.out_bytes;
  const std::uint64_t in = data.in_bytes == as_offered ? request.in.bytes : data.in_bytes;
  require(plan.out_wanted == (lu == nullptr ? 0 : out), "a plan wants other data-out");
  require(plan.in_wanted == (lu == nullptr ? std::min(in, parameters_max) : in),
          "a plan wants other data-in");
}

void check_refusal(const Planned& planned) {
  const auto& [request, lu, bytes_max, sense, plan] = planned;
  if (sense == 0x0e03) {
    return require(plan.kind == CdbKind::medium_write && request.out.bytes < plan.out_wanted,
                   "a write is refused though all of it is offered");
  }
  require(sense == 0x2400, "sense that means something else");
  if (plan.kind == CdbKind::unsafe) return;
  if (plan.kind == CdbKind::passthrough && request.out.bytes != 0 && request.in.bytes != 0) return;
  std::uint64_t in = planned.in_moves();
  if (plan.kind == CdbKind::parameter) {
    in = std::max(in, std::min(plan.in_wanted, parameters_max));
  } else if (plan.kind == CdbKind::tape_read) {
    in = plan.in_wanted;
  } else if (plan.kind == CdbKind::medium_read) {  // up to the end of a block
    in = (in + (std::uint64_t{1} << lu->blk_shift) - 1) >> lu->blk_shift << lu->blk_shift;
  }
  const std::uint64_t out_room = reads_only(plan) ? 0 : whole_pages(planned.out_moves());
  const std::uint64_t in_room = writes_only(plan) ? 0 : whole_pages(in);
  require(out_room + in_room > bytes_max, "a command is refused though there is memory for it");
}

// What moves: no more than is offered and wanted, and of a write not less.
void check_bytes(const Planned& planned) {
  const auto& [request, lu, bytes_max, sense, plan] = planned;
  require(plan.kind != CdbKind::unsafe, "what tgtd would overrun is planned");
  require(plan.fetch_bytes == planned.out_moves(), "data-out is not what is offered and wanted");
  require(plan.in_bytes >= planned.in_moves() && plan.in_bytes <= plan.in_wanted,
          "data-in is less than is offered and wanted, or more than is wanted");
  switch (plan.kind) {
    case CdbKind::medium_write:
      require(plan.fetch_bytes == plan.out_wanted && plan.in_bytes == 0, "half a write");
      break;
    case CdbKind::medium_read: {
      const std::uint64_t block = std::uint64_t{1} << lu->blk_shift;
      require(plan.in_bytes % block == 0, "tgtd is to read half a block");
      require(plan.in_bytes < planned.in_moves() + block, "tgtd is to read blocks for nobody");
      require(plan.fetch_bytes == 0, "a read that writes");
      break;
    }
    case CdbKind::tape_read:
      require(plan.in_bytes == plan.in_wanted,
              "tgtd writes behind the buffer for a tape's records");
      break;
    case CdbKind::passthrough:
      require(plan.in_bytes == request.in.bytes, "a device gets more or less room than there is");
      break;
    default:
      require(plan.in_bytes >= std::min(plan.in_wanted, parameters_max),
              "parameters into less than tgtd insists on");
      require(plan.in_bytes <= std::max(request.in.bytes, parameters_max),
              "parameters into more memory than any initiator gets");
  }
}

// Memory is whole pages, enough for what moves and no more; parameters have a page of their own
// each way, since tgtd does not look at its buffers' lengths. What nobody may fill is zeroed.
void check_rooms(const Planned& planned) {
  const auto& [request, lu, bytes_max, sense, plan] = planned;
  const bool no_out = reads_only(plan) || plan.out_in_place;
  require(plan.out_room == (no_out ? 0 : whole_pages(plan.fetch_bytes)), "room for data-out");
  require(plan.in_room == (writes_only(plan) ? 0 : whole_pages(plan.in_bytes)), "room for data-in");
  require(std::uint64_t{plan.out_room} + plan.in_room <= bytes_max, "more room than there is");
  const bool filled = reads_only(plan) && tgt::bs_name(*lu) != "null";
  require(plan.zero_in || writes_only(plan) || filled, "tgtd may show what memory held");
}

// tgtd gets immediate data from where it is only if it is for the medium and starts a page.
void check_place(const Planned& planned) {
  const View inside = planned.request.out.inside;
  const bool may = planned.plan.kind == CdbKind::medium_write && !inside.empty() &&
                   reinterpret_cast<std::uintptr_t>(inside.data()) % page == 0;
  require(planned.plan.out_in_place == may, "immediate data goes to tgtd from a wrong place");
  require(!may || planned.plan.fetch_bytes <= inside.size(), "tgtd reads beyond immediate data");
}

// An existing unit is never asked for more parameters than its buffer holds.
void check_cut(const Planned& planned) {
  const auto& [request, lu, bytes_max, sense, plan] = planned;
  if (lu == nullptr || plan.kind != CdbKind::parameter || plan.in_wanted <= plan.in_bytes) return;
  Bytes cdb = copy(request.cdb);
  set_allocation_length(cdb, plan.in_bytes);
  require(describe(cdb, plan.medium).in_bytes == plan.in_bytes,
          "an allocation length beyond the buffer");
}

void check_residual(std::uint64_t offered, std::uint64_t wanted, std::uint64_t moved) {
  const auto clamped = [](std::uint64_t value) {
    return std::min<std::uint64_t>(value, 0xffffffff);
  };
  const Residual found = residual(offered, wanted, moved);
  require(found.under == clamped(offered - moved), "what was offered and not moved");
  const bool over = moved == offered && wanted > offered;
  require(found.over == (over ? clamped(wanted - offered) : 0), "what was wanted and not offered");
}

void check_plan(const CmdRequest& request, const tgt::scsi_lu* lu, std::uint64_t bytes_max) {
  Planned planned{request, lu, bytes_max};
  planned.plan.out_room = planned.plan.in_room = 77;  // of the command before
  planned.sense = make_plan(request, lu, bytes_max, planned.plan);
  check_wanted(planned);
  if (planned.sense != 0) return check_refusal(planned);
  check_bytes(planned);
  check_rooms(planned);
  check_place(planned);
  check_cut(planned);
  const DataPlan& plan = planned.plan;
  for (const std::uint64_t moved : {std::uint64_t{0}, planned.in_moves()}) {
    check_residual(request.in.bytes, plan.in_wanted, moved);
  }
  check_residual(request.out.bytes, plan.out_wanted, plan.fetch_bytes);
}

// ---- units ----

struct Unit {
  tgt::scsi_lu lu{};
  Unit(tgt::DeviceType type, unsigned shift, tgt::backingstore_template& store) {
    lu.attrs.device_type = static_cast<unsigned char>(type);
    lu.blk_shift = shift;
    lu.bst = &store;
  }
};

std::span<const Unit> units() {
  using Type = tgt::DeviceType;
  static tgt::backingstore_template file{"rdwr"};
  static tgt::backingstore_template nothing{"null"};
  static tgt::backingstore_template tape{"ssc"};
  static tgt::backingstore_template device{"sg"};
  static const Unit all[] = {{Type::disk, 9, file},     {Type::disk, 12, file},
                             {Type::disk, 16, nothing}, {Type::cd, 11, file},
                             {Type::tape, 0, tape},     {Type::changer, 0, file},
                             {Type::disk, 0, device}};
  return all;
}

}  // namespace

void check_walk(std::span<const wire::MemoryDesc> descriptors, std::uint64_t bytes) {
  for (const std::uint32_t most : {1U, 4096U, 0xffffffffU}) check_ranges(descriptors, bytes, most);
}

void check_cdb(View cdb) {
  const Medium media[] = {
      {}, {true, false, 0}, {true, true, 9}, {true, true, 11}, {true, true, 12}, {true, true, 16}};
  for (const Medium& medium : media) {
    const CdbData data = describe_cdb(cdb, medium);
    const bool blocks = data.kind == CdbKind::medium_read || data.kind == CdbKind::medium_write;
    require(!blocks || medium.block_device, "blocks of what has none");
    require(data.kind != CdbKind::medium_read || data.out_bytes == 0, "a read that writes");
    require(data.kind != CdbKind::medium_write || data.in_bytes == 0, "a write that reads");
    require(data.kind != CdbKind::unsafe || (data.out_bytes == 0 && data.in_bytes == 0),
            "an unsafe command that moves data");
    for (const std::uint64_t bytes : {data.out_bytes, data.in_bytes}) {
      const std::uint64_t most = std::uint64_t{0xffffffff} << medium.block_shift;
      require(bytes == as_offered || bytes <= most, "more bytes than a CDB can say");
      require(!blocks || bytes % (std::uint64_t{1} << medium.block_shift) == 0, "half a block");
    }
    if (data.kind == CdbKind::parameter) check_allocation(cdb, medium, data);
  }
}

void check_plans(const CmdRequest& request) {
  for (const std::uint64_t mib : {1U, 16U, 256U}) {  // command_mib_max
    check_plan(request, nullptr, mib << 20);
    for (const Unit& unit : units()) check_plan(request, &unit.lu, mib << 20);
  }
}

}  // namespace srp::fuzz
