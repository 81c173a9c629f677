// Logins of initiators that follow revision 10 of SRP, and solicited notification.
#include <algorithm>

#include "lld_srp/login.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"
#include "tests/unit/tgtd_fixture.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t low = 0x1111111111111111;
constexpr std::uint64_t high = 0x2222222222222222;

PortId turned(PortId id) {
  std::rotate(id.begin(), id.begin() + 8, id.end());
  return id;
}

}  // namespace

TEST_GROUP_BASE(LoginRev10, TgtdTest) {
  Settings settings;
  EventLoop loop;
  std::unique_ptr<TargetPorts> ports;
  LoginRequest request{};
  const PortId initiator{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

  void setup() override {
    settings.rev10_port_ids = true;
    settings.targets = {{"iqn.one", low, high, {}}, {"iqn.two", high, low, {}}};
    request.initiator_port = initiator;
  }
  void teardown() override {
    ports.reset();
    settle();
  }
  void make(std::initializer_list<const char*> names) {
    ports = std::make_unique<TargetPorts>(settings, loop);
    int tid = 0;
    for (const char* name : names) ports->add(tgtd.create_target(++tid, name));
  }
  void accept(const PortId& target) {
    request.target_port = target;
    accept_rev10(request, {}, *ports, settings);
  }
  void check(const PortId& target, const PortId& from) {
    CHECK_TRUE(target == request.target_port);
    CHECK_TRUE(from == request.initiator_port);
  }
};

TEST(LoginRev10, accept_rev10__is_off_by_default) {
  CHECK_FALSE(Settings{}.rev10_port_ids);
  settings.rev10_port_ids = false;
  make({"iqn.one"});
  const PortId asked = turned(ports->find(1)->id());
  accept(asked);
  check(asked, initiator);
}

TEST(LoginRev10, accept_rev10__turns_both_identifiers) {
  make({"iqn.one"});
  const PortId id = ports->find(1)->id();
  accept(turned(id));
  check(id, turned(initiator));
  POINTERS_EQUAL(ports->find(1), ports->find(request.target_port, {}).front());
}

TEST(LoginRev10, accept_rev10__leaves_todays_order_alone) {
  make({"iqn.one"});
  const PortId id = ports->find(1)->id();
  accept(id);
  check(id, initiator);
}

TEST(LoginRev10, accept_rev10__a_target_that_matches_as_it_is_wins) {
  make({"iqn.one", "iqn.two"});
  const PortId id = ports->find(1)->id();
  CHECK_TRUE(turned(id) == ports->find(2)->id());
  accept(turned(id));
  check(ports->find(2)->id(), initiator);
  POINTERS_EQUAL(ports->find(2), ports->find(request.target_port, {}).front());
}

TEST(LoginRev10, accept_rev10__leaves_a_target_alone_that_there_is_not) {
  make({"iqn.one"});
  PortId asked = turned(ports->find(1)->id());
  asked[15] ^= 1;
  accept(asked);
  check(asked, initiator);
}

TEST(LoginRev10, accept_rev10__does_not_find_a_target_that_was_deleted) {
  make({"iqn.one"});
  const PortId asked = turned(ports->find(1)->id());
  ports->remove(1);
  accept(asked);
  check(asked, initiator);
}

// ---- from connection request to login response ----

TEST_GROUP(LoginFlags) {
  std::unique_ptr<Rig> rig;

  void make(const char* more) { rig = std::make_unique<Rig>(RigOptions{.more = more}); }
  void teardown() override { rig.reset(); }
  wire::LoginReqRdma request_in_the_old_order() {
    wire::LoginReqRdma request = rig->login_request({});
    request.target_port = turned(request.target_port);
    request.initiator_port = {1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2};
    return request;
  }
  Client& log_in(const wire::LoginReqRdma& request) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&request);
    Client& client = rig->connect_with({raw, raw + sizeof request});
    rig->run();
    return client;
  }
  unsigned solicited_of(std::uint8_t flags) {
    wire::LoginReqRdma request = rig->login_request({});
    request.flags = static_cast<std::uint8_t>(request.flags | flags);
    return log_in(request).login_rsp.value().flags & wire::solicited_supported;
  }
};

TEST(LoginFlags, accept_rev10__the_session_has_the_turned_identifier) {
  make("rev10_port_ids = true;");
  Client& client = log_in(request_in_the_old_order());
  CHECK_TRUE(client.login_rsp.has_value());
  const PortId id{2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1};
  CHECK_TRUE(id == Rig::session(client).initiator().port_id);
  STRCMP_EQUAL("0x02020202020202020101010101010101", Rig::session(client).initiator_name().c_str());
  rig->clear_attentions();
  CHECK_EQUAL(0U, rig->ask(client, {.tag = 3}).status());
}

// The same initiator in today's order finds its session.
TEST(LoginFlags, accept_rev10__is_the_same_nexus_in_either_order) {
  make("rev10_port_ids = true;");
  Client& old = log_in(request_in_the_old_order());
  wire::LoginReqRdma request = rig->login_request({});
  request.initiator_port = Rig::session(old).initiator().port_id;
  Client& client = log_in(request);
  CHECK_EQUAL(1U, unsigned{client.login_rsp.value().flags});  // the other one's is terminated
  CHECK_TRUE(old.disconnected);
}

TEST(LoginFlags, accept_rev10__by_default_there_is_no_such_target) {
  make("");
  const wire::LoginReqRdma request = request_in_the_old_order();
  const std::string log = log_of([&] { log_in(request); });
  STRCMP_CONTAINS("reason 0x00010003", log.c_str());
  STRCMP_CONTAINS("0x01010101010101010202020202020202", log.c_str());
}

TEST(LoginFlags, solicited__is_granted_where_any_is_asked_for) {
  make("");
  CHECK_EQUAL(0U, solicited_of(0));
  for (const std::uint8_t flag : Bytes{0x10, 0x20, 0x40, 0x70}) {
    CHECK_EQUAL(unsigned{wire::solicited_supported}, solicited_of(flag));
  }
  CHECK_EQUAL(0U, solicited_of(0x8c));  // all other bits
}
