#include "lab.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "check.h"

namespace conformance {

namespace {

constexpr std::uint64_t own_guid = 0x505400fffe4a0b7b;  // of an interface that nobody has
constexpr std::size_t bounce_bytes = 256 << 10;
// Blocks that cases do not use: proofs of cases, and of the bystander.
constexpr std::uint32_t proof_lba = 4096, bystander_lba = 5120;

void run_shell(const std::string& command) {
  const int status = std::system(command.c_str());
  if (status != 0) throw std::runtime_error("status " + std::to_string(status) + " of: " + command);
}

}  // namespace

Lab::Lab(const Options& options)
    : options_(options),
      fabric_(options.host.c_str(), options.port.c_str()),
      bounce_(fabric_.pd(), bounce_bytes) {
  LoginRequest as_bystander = request();
  as_bystander.initiator = initiator(0xb5);
  (void)login(as_bystander);
  learn_disk();
  bystander_ = std::make_unique<Channel>(std::move(channels_.front()));
  channels_.clear();
}

PortId Lab::initiator(std::uint64_t extension) { return {extension, own_guid}; }

LoginRequest Lab::request() const {
  LoginRequest request;
  request.tag = 0x0102030405060708;
  request.initiator = initiator(1);
  request.target = options_.target;
  return request;
}

Attempt Lab::attempt(View private_data, const Terms& terms) {
  auto link = std::make_unique<Link>(fabric_, terms);
  Attempt attempt{link->connect(private_data, in_seconds(std::max(options_.patience_s, 30))), {}};
  check(attempt.answer.accepted || attempt.answer.rejected,
        "the target does not answer a login: ", link->end());
  if (!attempt.answer.accepted) return attempt;
  const auto response = parse_login_response(attempt.answer.private_data);
  attempt.channel = &channels_.emplace_back(std::move(link), response, options_.patience_s);
  return attempt;
}

Channel& Lab::login(const LoginRequest& request, const Terms& terms) {
  const Attempt made = attempt(request, terms);
  check(made.channel != nullptr, "the login is refused, status ", made.answer.status, ": ",
        to_hex(View(made.answer.private_data)
                   .first(std::min<std::size_t>(made.answer.private_data.size(), 32))));
  Channel& channel = *made.channel;
  check(channel.login().tag == request.tag, "LOGIN_RSP has another tag than LOGIN_REQ");
  must_be_good(run_patiently(channel, [&](Tag tag) {
    Command ready = command(channel, cdb::test_unit_ready());
    ready.tag = tag;
    return ready.encode();
  }));
  return channel;
}

Channel& Lab::join() {
  LoginRequest more = request();
  more.flags = login::multi;
  const Attempt made = attempt(more);
  if (made.channel == nullptr) {
    if (!made.answer.private_data.empty() &&
        parse_login_reject(made.answer.private_data).reason == login::no_multichannel) {
      skip("the target has one channel for each initiator");
    }
    fail("a second channel is refused");
  }
  return *made.channel;
}

void Lab::close_channels() {
  for (Channel& channel : channels_) channel.link().disconnect();
  channels_.clear();
}

void Lab::must_be_refused(const Attempt& attempt, std::initializer_list<std::uint32_t> reasons) {
  check(attempt.channel == nullptr, "accepted, should be refused");
  if (attempt.answer.private_data.empty()) {
    // An MPA reject need not deliver its private data.
    check(fabric_.iwarp(), "refused without a LOGIN_REJ, status ", attempt.answer.status);
    return remark("no LOGIN_REJ is delivered on iWARP");
  }
  const auto reject = parse_login_reject(attempt.answer.private_data);
  for (const std::uint32_t reason : reasons) {
    if (reject.reason == reason) return;
    if (options_.strict) break;
  }
  fail("refused for reason 0x", std::hex, reject.reason, ", should be 0x", *reasons.begin());
}

Region& Lab::memory(std::size_t bytes, int access) {
  return regions_.emplace_back(fabric_.pd(), bytes, access);
}

Command Lab::command(Channel& channel, Bytes cdb) const {
  Command command;
  command.tag = channel.next_tag();
  command.lun = lun();
  command.cdb = std::move(cdb);
  return command;
}

Response Lab::run_patiently(Channel& channel, const std::function<Bytes(Tag)>& make) {
  constexpr std::uint8_t unit_attention = 6, not_ready = 2;
  for (int tries = 0;; ++tries) {
    Response response = channel.run(make(channel.next_tag()));
    const bool busy = response.status == status::busy || response.status == status::task_set_full;
    const std::uint8_t key = sense_of(response).key;
    if (tries == 20 || (!busy && key != unit_attention && key != not_ready)) return response;
    if (busy) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void Lab::write(Channel& channel, std::uint32_t lba, View data) {
  bounce_.copy_in(data);
  const Response response = run_patiently(channel, [&](Tag tag) {
    Command write =
        command(channel, cdb::write_10(lba, static_cast<std::uint16_t>(data.size() / block_)));
    write.tag = tag;
    write.out = direct(bounce_.at(0, data.size()));
    return write.encode();
  });
  must_be_good(response, 0, 0);
}

Bytes Lab::read(Channel& channel, std::uint32_t lba, std::size_t bytes) {
  bounce_.fill(0xa5);
  const Response response = run_patiently(channel, [&](Tag tag) {
    Command read = command(channel, cdb::read_10(lba, static_cast<std::uint16_t>(bytes / block_)));
    read.tag = tag;
    read.in = direct(bounce_.at(0, bytes));
    return read.encode();
  });
  must_be_good(response, 0, 0);
  const View read = bounce_.view(0, bytes);
  return {read.begin(), read.end()};
}

void Lab::learn_disk() {
  const Response response = run_patiently(channels_.front(), [&](Tag tag) {
    Command capacity = command(channels_.front(), cdb::read_capacity());
    capacity.tag = tag;
    capacity.in = direct(bounce_.at(0, 8));
    return capacity.encode();
  });
  must_be_good(response);
  blocks_ = get(bounce_.view(0, 8), 0, 4) + 1;
  block_ = get(bounce_.view(0, 8), 4, 4);
  check(blocks_ * block_ >= 32u << 20 && block_ == 512, "the unit has ", blocks_, " blocks of ",
        block_, " bytes; 32 MiB in blocks of 512 are needed");
}

void Lab::stall() {
  if (options_.stall.empty()) skip("needs --stall and --resume");
  run_shell(options_.stall);
  stalled_ = true;
}

void Lab::resume() {
  if (!stalled_) return;
  stalled_ = false;
  run_shell(options_.resume);
}

std::int64_t Lab::target_memory_kib() const {
  if (options_.pid == 0) skip("needs --pid");
  std::ifstream status("/proc/" + std::to_string(options_.pid) + "/status");
  for (std::string word; status >> word;) {
    std::int64_t kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib;
  }
  fail("the target's process ", options_.pid, " is gone");
}

void Lab::target_memory_must_settle(std::int64_t kib) const {
  const Deadline deadline = patience();
  while (target_memory_kib() > kib) {
    check(Clock::now() < deadline, "the target keeps ", target_memory_kib(), " KiB; ", kib,
          " at most were expected");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

void Lab::move_data(Channel& channel, std::uint32_t lba) {
  const Bytes data = pattern(2 * block_, ++proofs_);
  write(channel, lba, data);
  const std::ptrdiff_t at = difference(data, read(channel, lba, data.size()));
  check(at < 0, "afterwards: byte ", at, " read is not the one written");
}

void Lab::prove(Channel& channel) {
  check(!channel.link().ended(), "afterwards: the channel has ended: ", channel.link().end());
  move_data(channel, proof_lba);
  channel.must_be_silent(0);
  // What an aborted command had taken may come back with any response.
  const Deadline deadline = patience();
  while (channel.limit() < channel.granted() && Clock::now() < deadline) {
    move_data(channel, proof_lba);
  }
  check(channel.limit() == channel.granted(), "afterwards: the request limit is ", channel.limit(),
        ", ", channel.granted(), " were granted");
}

void Lab::prove_unharmed() {
  bool any = false;
  for (Channel& channel : channels_) {
    if (channel.expected_to_end() || channel.link().ended()) continue;
    prove(channel);
    any = true;
  }
  if (!any) prove(login());
  prove_bystander();
}

void Lab::prove_bystander() {
  check(!bystander_->link().ended(),
        "the channel of another initiator has ended: ", bystander_->link().end());
  move_data(*bystander_, bystander_lba);
  check(bystander_->limit() == bystander_->granted(), "another initiator's request limit is ",
        bystander_->limit(), ", ", bystander_->granted(), " were granted");
}

void Lab::clean_up() noexcept {
  try {
    resume();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cannot resume: %s\n", error.what());
  }
  close_channels();
  regions_.clear();
  remark_.clear();
}

void must_be_good(const Response& response) {
  check(response.status == status::good, "should be GOOD: ", response.describe());
  check(response.sense.empty(), "GOOD with sense: ", response.describe());
}

void must_be_good(const Response& response, std::int64_t out_residual, std::int64_t in_residual) {
  must_be_good(response);
  const auto residual = [&](std::uint8_t under, std::uint8_t over, std::int64_t bytes) {
    if ((response.flags & under) != 0) return bytes;
    return (response.flags & over) != 0 ? -bytes : std::int64_t{0};
  };
  const std::int64_t out = residual(flag::out_under, flag::out_over, response.out_residual);
  const std::int64_t in = residual(flag::in_under, flag::in_over, response.in_residual);
  check(out == out_residual, "data-out residual ", out, ", should be ", out_residual);
  check(in == in_residual, "data-in residual ", in, ", should be ", in_residual);
}

void must_be_refused(const Lab& lab, const Response& response, const std::vector<Sense>& lawful) {
  const Sense got = sense_of(response);
  check(response.status == status::check_condition, "should be refused with ",
        describe(lawful.front()), ": ", response.describe());
  for (const Sense& sense : lawful) {
    if (got == sense) return;
    if (lab.options().strict) break;
  }
  fail("refused with ", describe(got), ", should be ", describe(lawful.front()));
}

}  // namespace conformance
