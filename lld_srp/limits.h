// Every bound that is not a setting, each with its reason. Sizes are bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace srp {

// An IU that carries n in-line descriptors is 68 + 16 n bytes; the count is one byte in each
// direction.
inline constexpr std::size_t descriptors_in_iu_max = 255;

// Descriptors of a table that lies with the initiator (ib_srp, indirect_sg_entries: 2048).
inline constexpr std::size_t table_descriptors_max = 2048;

// Memory of a device for such tables: registered in pieces, and at most. Commands wait for it.
inline constexpr std::size_t table_extent_bytes = std::size_t{256} << 10;
inline constexpr std::size_t table_memory_bytes_max = std::size_t{16} << 20;

// Where immediate data lies in Linux's SRP_CMD; receives that channels share are laid out for it.
inline constexpr std::uint32_t usual_immediate_offset = 68;

// Data memory comes in pages: tgtd writes up to a few hundred bytes into buffers of commands that
// offered none, and aio and O_DIRECT stores want alignment.
inline constexpr std::size_t page_bytes = 4096;

// tgtd refuses a response shorter than the CDB's allocation length, so short offers are served from
// a longer buffer and cut. No allocation length needs more than this.
inline constexpr std::uint32_t allocation_bytes_max = 64 * 1024;

// Receives beyond the request limit: IUs that cost no credit (CRED_RSP, AER_RSP, I_LOGOUT).
inline constexpr unsigned uncredited_receives = 4;

// Completions taken from one CQ before others get their turn.
inline constexpr int poll_batch = 16;
inline constexpr int poll_budget = 128;

// Looks at a CQ that has gone quiet before an event is asked for instead. Each is one round of
// tgtd's loop, which serves everybody else as well.
inline constexpr unsigned empty_looks_max = 32;

// Initiators whose last target is kept in mind, so that they do not take another's units for its.
inline constexpr std::size_t seen_targets_max = 4096;

// Refused logins that get a line of their own each second; the rest of a flood is counted.
inline constexpr unsigned refusals_logged_per_s = 10;

// RDMA/CM events handled before others get their turn; a login takes milliseconds.
inline constexpr int cm_event_budget = 16;

// Work requests chained into one post.
inline constexpr int chain_max = 16;

// Response bytes that fit a send without a DMA read of our memory: SRP_RSP for a task, 40 bytes.
inline constexpr std::uint32_t inline_bytes_wanted = 64;

// Linux's initiator waits 5 s for the answer to a task management function (ib_srp, srp_abort).
inline constexpr unsigned task_answer_s_max = 4;

// How long a closing connection waits for the other side to confirm before it forgets it.
inline constexpr unsigned disconnect_s_max = 5;

// How long a queue pair that shares its receives may take to give back the last one. Some devices
// (soft-RoCE, soft iWARP) never say that it was the last.
inline constexpr unsigned drain_s_max = 1;

// How long a goodbye (SRP_T_LOGOUT) may take to leave before the channel is closed without it.
inline constexpr unsigned goodbye_s_max = 1;

// RDMA READs that one channel may have outstanding where the device and the peer allow more.
inline constexpr std::uint8_t read_depth_max = 16;

// Connection requests that the kernel keeps for us while we serve others.
inline constexpr int listen_backlog = 128;

}  // namespace srp
