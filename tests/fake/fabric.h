// A fabric of reliable connections, and the verbs objects that the driver makes on it.
//
// The fabric keeps the order of each send queue and of each receive queue and mixes the two freely.
// It reads and writes the driver's memory as late as hardware may, and checks every rule of verbs
// that the driver could break. verbs.cpp holds the functions that the driver calls.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/fake/choices.h"
#include "tests/fake/world.h"

namespace srp::fake {

using Bytes = std::vector<std::uint8_t>;

struct Context;
struct Qp;

// One RDMA device of the machine.
class Hca {
 public:
  explicit Hca(unsigned number);
  ~Hca();
  Hca(const Hca&) = delete;
  Hca& operator=(const Hca&) = delete;

  ibv_device device{};
  ibv_device_attr limits{};
  std::uint32_t message_bytes_max = 1U << 31;
  std::uint32_t inline_bytes_max = 256;
  bool present = true;
  bool infiniband = false;  // the link layer of its port; else Ethernet
  std::vector<std::uint16_t> pkeys{0xffff};
  bool silent = false;                  // removed, and nothing that was posted is flushed
  std::unique_ptr<Context> cm_context;  // librdmacm's own
};

enum class RemoteAccess : std::uint8_t { read, write };

// The far end of a connection: an initiator's channel.
class Peer {
 public:
  virtual ~Peer() = default;
  // Its memory, or null: the access is refused.
  virtual std::uint8_t* memory(std::uint64_t address, std::uint32_t key, std::size_t bytes,
                               RemoteAccess access) = 0;
  virtual void on_iu(std::span<const std::uint8_t> iu) = 0;
  // Its queue pair has failed: the other side does not answer, or did something forbidden.
  virtual void on_queue_pair_error() = 0;
  // It can be sent to.
  [[nodiscard]] virtual bool reachable() const = 0;
  // It has sent more than the request limit allows, so that a missing receive is its own fault.
  [[nodiscard]] virtual bool overdrew() const = 0;
  virtual void on_login_response(std::span<const std::uint8_t> private_data) = 0;
  virtual void on_login_reject(int reason, std::span<const std::uint8_t> private_data) = 0;
  virtual void on_disconnect() = 0;
};

struct Context : ibv_context {
  explicit Context(Hca& hca, bool of_cm);
  ~Context();
  Hca& hca;
  bool of_cm;
  unsigned children = 0;
  std::deque<ibv_async_event> events;
};

struct Pd : ibv_pd {
  unsigned children = 0;
};

struct Mr : ibv_mr {
  int access = 0;
};

struct Cq;

struct CompChannel : ibv_comp_channel {
  std::deque<Cq*> events;
  unsigned cqs = 0;
};

struct Completion {
  ibv_wc wc;
  Qp* qp;
  unsigned send_places;     // that polling it gives back
  unsigned receive_places;  // none, if the receive was a shared one
};

struct Cq : ibv_cq {
  std::deque<Completion> entries;
  bool armed = false;
  unsigned qps = 0;
  unsigned unacked = 0;

  void push(const Completion& completion);
};

struct SendWork {
  std::uint64_t wr_id;
  ibv_wr_opcode opcode;
  unsigned flags;
  std::uint64_t remote_address;
  std::uint32_t rkey;
  std::vector<ibv_sge> sges;  // empty where the data was copied when posted
  Bytes bytes;                // inline data, or what has crossed the wire
  bool started = false;
  ibv_wc_status status = IBV_WC_SUCCESS;

  [[nodiscard]] bool is_inline() const noexcept { return (flags & IBV_SEND_INLINE) != 0; }
  [[nodiscard]] std::size_t length() const noexcept;
};

struct ReceiveWork {
  std::uint64_t wr_id;
  std::vector<ibv_sge> sges;
};

// Receives that queue pairs share.
struct Srq : ibv_srq {
  unsigned size = 0;
  std::deque<ReceiveWork> receives;  // not taken by a queue pair
  unsigned qps = 0;
};

// Two ends of a reliable connection; cm.h decides who they are.
struct Connection {
  Peer* peer = nullptr;    // null: it has gone
  Qp* qp = nullptr;        // null: not accepted yet, or destroyed
  std::deque<Bytes> wire;  // IUs of the initiator on their way
};

struct Qp : ibv_qp {
  ibv_qp_cap cap{};
  bool signal_all = false;
  std::deque<SendWork> sends;        // not completed
  std::deque<ReceiveWork> receives;  // not completed
  unsigned send_places = 0;          // in use: posted, and not polled up to it
  unsigned receive_places = 0;
  unsigned unsignaled = 0;  // completed silently since the last completion
  unsigned read_depth = 0;  // READs that may be outstanding
  unsigned async_unacked = 0;
  bool starved = false;   // a receive was refused, so the lack of one is excused
  Srq* shared = nullptr;  // its receives come from here
  Connection* connection = nullptr;

  [[nodiscard]] Hca& hca() const noexcept { return static_cast<Context*>(context)->hca; }
  void add_choices(Choices& choices);
  void enter_error();

 private:
  void deliver();
  void bounce();
  void start();
  void complete();
  void flush();
  void flush_send();

  [[nodiscard]] SendWork* next_to_start() noexcept;
  void carry_out(SendWork& work);
  [[nodiscard]] std::deque<ReceiveWork>& receive_works() noexcept {
    return shared != nullptr ? shared->receives : receives;
  }
  void complete_receive(ReceiveWork& work, ibv_wc_status status, std::size_t bytes);
  void complete_send(const SendWork& work, ibv_wc_status status);
};

class Fabric {
 public:
  Fabric();
  ~Fabric();

  Hca& add_hca();
  // Takes a device away; add_hca() brings one with a fresh identity back.
  void remove(Hca& hca);
  void add_choices(Choices& choices);
  // Everything that the driver made is gone.
  void expect_nothing_left() const;

  void gather(const Qp& qp, std::span<const ibv_sge> sges, Bytes& bytes) const;
  void scatter(const Qp& qp, std::span<const ibv_sge> sges,
               std::span<const std::uint8_t> bytes) const;
  // Fails unless the memory is registered, on this PD, for this access. who: for the message.
  void check_local(unsigned who, const ibv_pd* pd, const ibv_sge& sge, int access) const;
  void check_local(const Qp& qp, const ibv_sge& sge, int access) const {
    check_local(qp.qp_num, qp.pd, sge, access);
  }

  std::vector<std::unique_ptr<Hca>> hcas;
  std::vector<std::unique_ptr<Context>> contexts;
  std::vector<std::unique_ptr<Pd>> pds;
  std::vector<std::unique_ptr<Mr>> mrs;
  std::vector<std::unique_ptr<CompChannel>> channels;
  std::vector<std::unique_ptr<Cq>> cqs;
  std::vector<std::unique_ptr<Srq>> srqs;
  std::vector<std::unique_ptr<Qp>> qps;
  std::uint32_t next_key = 0x1000;
  std::uint32_t next_qp_num = 0x11;
};

// A nonblocking read of an empty descriptor; blocking ones would stop tgtd.
int nothing_to_read(int fd, const char* what) noexcept;

}  // namespace srp::fake
