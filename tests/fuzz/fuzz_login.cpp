// Fuzzes logins: what parses an SRP_LOGIN_REQ and what decides over it (lld_srp/iu.h, login.h,
// acl.h), and the answers. The input is a few decisions over the world that the login comes to,
// then the private data of the connection request.
//
// The rules are written here once more, over the bytes and apart from the driver: a login must be
// accepted where none of them is broken, and else refused for a reason of one that is.
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "lld_srp/login.h"
#include "plugin_api/target_view.h"
#include "tests/fake/fabric.h"
#include "tests/fake/infiniband.h"
#include "tests/fake/login_rules.h"
#include "tests/fake/tgtd.h"
#include "tests/fuzz/check.h"

namespace srp::fuzz {

namespace {

namespace at = fake::login_at;
using fake::Random;
using Reason = wire::LoginRejReason;
using Reasons = std::vector<Reason>;

constexpr std::size_t decisions_bytes = 32;

// Room for a channel that is counted, and that has not failed: nobody looks further.
struct ChannelPlace {
  alignas(Channel) std::uint8_t bytes[sizeof(Channel)] = {};
  Channel& channel() { return *reinterpret_cast<Channel*>(bytes); }
};

std::string hex(View bytes) {
  constexpr const char* digits = "0123456789aBcDeF";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 0x0f];
  }
  return text;
}

// Three initiators that may have sessions already.
PortId known_initiator(std::size_t number) {
  PortId id{};
  id[8] = 0x02;
  id[15] = static_cast<std::uint8_t>(number);
  return id;
}

// ---- access control ----

// Gives the target lists of a form whose verdict on the initiator is known; that verdict.
bool set_acl(fake::Target& target, const InitiatorIdentity& initiator, bool from_ten,
             std::size_t form) {
  const View id{initiator.port_id};
  switch (form) {
    case 0: return false;
    case 1: target.addresses = {"10.0.0.0/8"}; return from_ten;
    case 2: target.names = {"0x" + hex(id)}; return true;
    case 3:  // tgt-admin's ALL beside a name
      target.addresses = {"ALL"};
      target.names = {hex(id.subspan(8))};
      return true;
    case 4:
      target.addresses = {"10.1.2.0/24"};
      target.names = {"??" + hex(id).substr(2, 28) + "*"};
      return from_ten;
    case 5: {
      PortId other = initiator.port_id;
      other[15] ^= 0x10;
      target.names = {hex(other), "0x" + hex(other)};
      return false;
    }
    default: target.addresses = {"ALL"}; return true;
  }
}

// Any text is an entry; how it is written does not matter.
void check_entry(View text, const InitiatorIdentity& initiator) {
  const std::string entry{text.begin(), text.end()};
  std::string upper = entry;
  for (char& letter : upper) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  }
  require(acl_entry_admits(entry, initiator) == acl_entry_admits(upper, initiator),
          "an ACL entry depends on its case");
}

// ---- the world that a login comes to ----

class World {
 public:
  explicit World(View decisions) : world_(Random{decisions}) {
    tgt::tgt_driver& table = tgt::driver_table;
    table = {};
    table.drv_state = tgt::DRIVER_INIT;
    fake::list_init(table.target_list);
    tgt::tgt_drivers[1] = &table;
    settings_.immediate_data = dice().chance(0.8);
    settings_.rev10_port_ids = dice().chance(0.3);
    settings_.sessions_max = static_cast<std::uint32_t>(dice().between(1, 4));
    settings_.channels_max = static_cast<std::uint32_t>(dice().between(1, 3));
    const std::uint32_t sizes[] = {276, 2116, 8276};
    settings_.srp_max_req_size = sizes[dice().below(3)];
    for (std::size_t i = dice().between(1, 3); i > 0; --i) {
      ports_.add(tgtd().create_target(static_cast<int>(i), "iqn.fuzz" + std::to_string(i)));
    }
    for (std::size_t i = dice().below(5); i > 0; --i) log_in();
  }

  ~World() {
    for (Login& login : logins_) {
      for (std::size_t i = 0; i < login.channels; ++i) login.session->detach(place_.channel());
    }
    for (const auto& port : ports_.all()) port->close_sessions("the input is over");
    ports_.reap();
    for (int i = 0; i < 100 && tgtd().busy(); ++i) tgtd().turn();
    tgt::tgt_drivers[1] = nullptr;
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void judge(Bytes data);

 private:
  struct Login {
    TargetPort* port;
    Session* session;
    std::size_t channels;
  };

  Random& dice() { return world_.random; }
  fake::Tgtd& tgtd() { return *world_.tgtd; }
  void log_in();
  void repair(Bytes& data);
  void set_states(const InitiatorIdentity& initiator, bool from_ten, TargetPort* wanted);
  void add_reasons_of_sessions(const LoginRequest& request, bool from_ten, TargetPort& wanted);
  void check_order(View data, LoginRequest& request);
  // False: the login is refused.
  bool check_verdict(const LoginRequest& request, const InitiatorIdentity& initiator,
                     TargetPort* wanted);

  fake::World world_;
  Settings settings_;
  EventLoop loop_;
  TargetPorts ports_{settings_, loop_};
  ChannelPlace place_;
  std::vector<Login> logins_;
  fake::LoginRules rules_{};
  Reasons reasons_;  // for which the login must be refused
};

void set_address(InitiatorIdentity& initiator, const char* text) {
  auto& address = reinterpret_cast<sockaddr_in&>(initiator.address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = inet_addr(text);
}

// A session that is there already, of one that may log in again; from ten.
void World::log_in() {
  TargetPort& port = *ports_.all()[dice().below(ports_.all().size())];
  InitiatorIdentity initiator;
  initiator.port_id = known_initiator(dice().below(3));
  set_address(initiator, "10.1.2.3");
  if (port.live_session(initiator.port_id) != nullptr) return;
  Session& session = ports_.add_session(port, initiator);
  const std::size_t channels = dice().between(1, 3);
  for (std::size_t i = 0; i < channels; ++i) session.attach(place_.channel());
  logins_.push_back({&port, &session, channels});
}

// Makes it likely that the login gets far.
void World::repair(Bytes& data) {
  if (data.size() < at::end) return;
  if (dice().chance(0.8)) {
    const PortId id = ports_.all()[dice().below(ports_.all().size())]->id();
    const bool rev10 = settings_.rev10_port_ids && dice().chance(0.5);
    std::ranges::copy(rev10 ? fake::swapped(id) : id, data.begin() + at::target_port);
  }
  if (dice().chance(0.5)) {
    std::ranges::copy(known_initiator(dice().below(3)), data.begin() + at::initiator_port);
  }
  if (dice().chance(0.5)) data[at::iu_bytes] = data[at::iu_bytes + 1] = 0;
}

void World::set_states(const InitiatorIdentity& initiator, bool from_ten, TargetPort* wanted) {
  if (dice().chance(0.1)) {
    tgtd().set_system_available(false);
    reasons_.push_back(Reason::insufficient_resources);
  }
  for (const auto& port : ports_.all()) {
    fake::Target& target = *tgtd().find_target(port->tid());
    const bool offline = dice().chance(0.1);
    if (offline) tgtd().set_target_state(target, tgt::SCSI_TARGET_OFFLINE);
    const bool admitted = set_acl(target, initiator, from_ten, dice().below(10));
    if (port.get() != wanted) continue;
    if (offline) reasons_.push_back(Reason::insufficient_resources);
    if (!admitted) reasons_.push_back(Reason::unable_to_associate);
  }
}

void World::add_reasons_of_sessions(const LoginRequest& request, bool from_ten,
                                    TargetPort& wanted) {
  const Login* mine = nullptr;
  for (const Login& login : logins_) {
    if (login.port == &wanted && login.session->initiator().port_id == request.initiator_port) {
      mine = &login;
    }
  }
  const bool multi = request.action == wire::MultiChannelAction::multi;
  if (mine != nullptr && multi) {
    if (!from_ten) reasons_.push_back(Reason::unable_to_associate);  // another host's session
    if (mine->channels >= settings_.channels_max) reasons_.push_back(Reason::channel_limit_reached);
    return;
  }
  const std::size_t others = logins_.size() - (mine != nullptr ? 1 : 0);
  if (others >= settings_.sessions_max) reasons_.push_back(Reason::insufficient_resources);
}

void check_rej(const wire::Tag& tag, Reason reason) {
  const wire::LoginRej rej = build_login_rej(tag, reason);
  const View bytes = bytes_of(rej);
  require(bytes.size() == 32 && bytes[0] == 0xc2, "not an SRP_LOGIN_REJ");
  require(number_at(bytes, 4, 4) == static_cast<std::uint32_t>(reason) &&
              std::ranges::equal(tag.bytes, bytes.subspan(8, 8)),
          "SRP_LOGIN_REJ: reason or tag");
  require((number_at(bytes, 24, 2) & 6) == 6, "SRP_LOGIN_REJ: buffer formats");
  for (const unsigned i : {1U, 2U, 3U, 16U, 17U, 18U, 19U, 20U, 21U, 22U, 23U, 26U, 31U}) {
    require(bytes[i] == 0, "SRP_LOGIN_REJ: a reserved field is set");
  }
}

// What was asked for is granted, and nothing else: bit 7 of the flags makes Linux send immediate
// data, whether or not the target can take it.
void check_rsp(View login, const LoginRequest& request, const fake::LoginRules& rules,
               const Settings& settings) {
  const LoginAnswer answer{.request_limit = settings.credits,
                           .max_iu_bytes = settings.srp_max_req_size,
                           .max_target_iu_bytes = settings.srp_max_rsp_size,
                           .result = wire::MultiChannelResult::maintained,
                           .solicited = request.solicited,
                           .immediate = grants_immediate(request, settings)};
  const wire::LoginRsp rsp = build_login_rsp(request.tag, answer);
  const View bytes = bytes_of(rsp);
  require(bytes.size() == 52 && bytes[0] == 0xc0, "not an SRP_LOGIN_RSP");
  require(number_at(bytes, 4, 4) == settings.credits &&
              std::ranges::equal(login.first(8), bytes.subspan(8, 8)) &&
              number_at(bytes, 16, 4) == settings.srp_max_req_size &&
              number_at(bytes, 20, 4) == settings.srp_max_rsp_size,
          "SRP_LOGIN_RSP: not what was answered");
  require((number_at(bytes, 24, 2) & 6) == 6, "SRP_LOGIN_RSP: buffer formats");
  const unsigned solicited = fake::asks_for_solicited(login) ? 0x10 : 0;
  const bool immediate = settings.immediate_data && fake::asks_for_immediate(login, rules);
  require(bytes[26] == (2U | solicited | (immediate ? 0x80U : 0)),
          "SRP_LOGIN_RSP: flags nobody asked for, or without those that somebody did");
  for (const std::size_t i : {1U, 2U, 3U}) require(bytes[i] == 0, "SRP_LOGIN_RSP: reserved");
  for (std::size_t i = 27; i < bytes.size(); ++i) {
    require(bytes[i] == 0, "SRP_LOGIN_RSP: a reserved field is set");
  }
  require(request.solicited_logout == ((login[at::flags] & 0x10) != 0) &&
              request.solicited_credits == ((login[at::flags] & 0x20) != 0),
          "solicited events for IUs that nobody asked them for, or that somebody did");
  if (immediate) {
    require(request.immediate_offset == number_at(login, at::immediate_offset, 2),
            "immediate data is expected elsewhere");
  }
}

bool World::check_verdict(const LoginRequest& request, const InitiatorIdentity& initiator,
                          TargetPort* wanted) {
  const LoginVerdict verdict = judge_login(request, initiator, {}, ports_, settings_);
  require((verdict.port != nullptr) == reasons_.empty(),
          verdict.port != nullptr ? "a login is accepted that must be refused"
                                  : "a login is refused without a reason");
  if (verdict.port == nullptr) {
    require(!verdict.why.empty(), "a refusal that says nothing");
    require(std::ranges::count(reasons_, verdict.reason) != 0, "a reason that is none");
    check_rej(request.tag, verdict.reason);
    return false;
  }
  require(verdict.port == wanted, "a login goes to another target");
  return true;
}

// Port identifiers as they came, then in today's order, both or none.
void World::check_order(View data, LoginRequest& request) {
  require(std::ranges::equal(request.initiator_port, data.subspan(at::initiator_port, 16)) &&
              std::ranges::equal(request.target_port, data.subspan(at::target_port, 16)),
          "not the login's ports");
  accept_rev10(request, {}, ports_, settings_);
  const fake::LoginPorts ports = fake::ports_of(data, rules_);
  require(request.initiator_port == ports.initiator && request.target_port == ports.target,
          "port identifiers in another order");
}

// The same request in InfiniBand's form means the same, and is refused for the same reason.
void check_other_form(View data, const LoginRequest& request,
                      const std::optional<LoginFault>& fault) {
  wire::LoginReqRdma rdma;
  LoginRequest same{};
  if (data.size() < sizeof rdma) {
    require(parse_login(data, LoginForm::ib_cm, same).has_value(), "a short login is parsed");
    return;
  }
  std::memcpy(&rdma, data.data(), sizeof rdma);
  const auto other = parse_login(fake::in_ib_form(rdma), LoginForm::ib_cm, same);
  require(other.has_value() == fault.has_value() && (!fault || other->reason == fault->reason),
          "refused in one form only");
  require(same.tag == request.tag && same.required_formats == request.required_formats &&
              same.action == request.action && same.max_iu_bytes == request.max_iu_bytes &&
              same.initiator_port == request.initiator_port &&
              same.target_port == request.target_port && same.solicited == request.solicited &&
              same.solicited_logout == request.solicited_logout &&
              same.solicited_credits == request.solicited_credits &&
              same.immediate == request.immediate &&
              same.immediate_offset == request.immediate_offset,
          "two forms of a login differ");
}

void World::judge(Bytes data) {
  repair(data);
  const Bytes exact = copy(data);
  LoginRequest request{};
  const auto fault = parse_login(exact, LoginForm::rdma_cm, request);
  check_other_form(exact, request, fault);
  if (exact.size() >= 8) {
    require(std::ranges::equal(request.tag.bytes, View{exact}.first(8)), "not the login's tag");
  }
  rules_ = {settings_.srp_max_req_size, {}, settings_.rev10_port_ids};
  for (const auto& port : ports_.all()) rules_.target_ports.push_back(port->id());
  reasons_ = fake::reasons_to_refuse(exact, rules_);
  const bool broken = std::ranges::any_of(reasons_, [](Reason reason) {
    return reason == Reason::unspecified || reason == Reason::unsupported_format;
  });
  require(fault.has_value() == broken, "a login is parsed that is none, or not though it is one");
  if (fault) {
    require(std::ranges::count(reasons_, fault->reason) != 0, "a reason that is none");
    return check_rej(request.tag, fault->reason);
  }
  check_order(exact, request);
  InitiatorIdentity initiator;
  initiator.port_id = request.initiator_port;
  const bool from_ten = dice().chance(0.7);
  set_address(initiator, from_ten ? "10.1.2.3" : "192.0.2.1");
  check_entry(View{exact}.subspan(at::end), initiator);
  check_entry(View{exact}.first(at::initiator_port), initiator);
  const auto candidates = ports_.find(request.target_port, {});
  TargetPort* wanted = candidates.empty() ? nullptr : candidates.front();
  set_states(initiator, from_ten, wanted);
  if (wanted != nullptr) add_reasons_of_sessions(request, from_ten, *wanted);
  if (check_verdict(request, initiator, wanted)) check_rsp(exact, request, rules_, settings_);
}

}  // namespace

void one_input(View input) {
  const std::size_t decisions = std::min(input.size(), decisions_bytes);
  World{input.first(decisions)}.judge(copy(input.subspan(decisions)));
}

}  // namespace srp::fuzz

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  srp::fake::failure_signals = true;
  srp::fake::set_tracing(std::getenv("FUZZ_TRACE") != nullptr);
  return 0;
}

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  srp::fuzz::one_input({data, bytes});
  return 0;
}
