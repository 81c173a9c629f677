// SRP_LOGIN_REQ in the private data of a connection request: who may come in, and what the answer
// says.
#include "cases.h"
#include "check.h"

namespace conformance {

namespace {

void refused(Lab& lab, const LoginRequest& request, std::initializer_list<std::uint32_t> reasons) {
  const Attempt attempt = lab.attempt(request);
  lab.must_be_refused(attempt, reasons);
  if (attempt.answer.private_data.empty()) return;
  const auto reject = parse_login_reject(attempt.answer.private_data);
  check(reject.tag == request.tag, "LOGIN_REJ has another tag than LOGIN_REQ");
}

void short_private_data(Lab& lab, std::size_t bytes) {
  if (!lab.fabric().iwarp()) skip("only iWARP carries private data of less than 56 bytes as such");
  Bytes data = lab.request().encode();
  data.resize(bytes);
  lab.must_be_refused(lab.attempt(data), {login::no_reason});
}

void answer(Lab& lab) {
  const auto& rsp = lab.login().login();
  check(rsp.limit >= 2, "request limit ", rsp.limit, ": one command and one task need two");
  check(rsp.max_request_bytes >= lab.request().iu_bytes, "MAX I->T IU LENGTH ",
        rsp.max_request_bytes, " is less than what was asked for");
  check(rsp.max_response_bytes >= 40, "MAX T->I IU LENGTH ", rsp.max_response_bytes);
  check((rsp.formats & 6) == 6, "SUPPORTED BUFFER FORMATS ", rsp.formats);
  check((rsp.flags & ~login::result_mask) == 0, "flags not asked for: ", unsigned{rsp.flags});
  check((rsp.flags & login::result_mask) == login::result_none, "multi-channel result ",
        rsp.flags & login::result_mask, ", there was no channel");
}

// Initiators size their receives by it once, at the first login.
void constant_response_length(Lab& lab) {
  LoginRequest request = lab.request();
  Channel& old = lab.login(request);
  const std::uint32_t first = old.login().max_response_bytes;
  request.iu_bytes = 276;
  const std::uint32_t second = lab.login(request).login().max_response_bytes;
  old.must_end("a SINGLE login");
  check(first == second || !lab.options().strict, "MAX T->I IU LENGTH is ", first, ", then ",
        second);
}

void sizes(Lab& lab) {
  LoginRequest request = lab.request();
  for (const std::uint32_t bytes : {64u, 80u, 260u, 276u, 580u, 4164u, 4196u, 8260u}) {
    request.iu_bytes = bytes;
    lab.prove(lab.login(request));
    lab.close_channels();
  }
}

void largest_size(Lab& lab) {
  LoginRequest request = lab.request();
  request.iu_bytes = lab.login().login().max_request_bytes;
  lab.close_channels();
  lab.prove(lab.login(request));
  request.iu_bytes += 1;
  refused(lab, request, {login::iu_too_large});
  request.iu_bytes = 0xffffffff;
  refused(lab, request, {login::iu_too_large});
}

void size_of(Lab& lab, std::uint32_t bytes) {
  LoginRequest request = lab.request();
  request.iu_bytes = bytes;
  refused(lab, request, {login::no_reason, login::iu_too_large});
}

void formats(Lab& lab, std::uint16_t required) {
  LoginRequest request = lab.request();
  request.formats = required;
  lab.prove(lab.login(request));
}

void no_formats(Lab& lab) {
  LoginRequest request = lab.request();
  request.formats = 0;
  const Attempt attempt = lab.attempt(request);
  if (attempt.channel == nullptr) {
    lab.must_be_refused(attempt, {login::unsupported_format});
    lab.remark("refused lawfully");
  }
}

void action(Lab& lab, std::uint8_t flags) {
  LoginRequest request = lab.request();
  request.flags = flags;
  refused(lab, request, {login::no_reason});
}

void other_target(Lab& lab, PortId (*wrong)(const PortId&)) {
  LoginRequest request = lab.request();
  const PortId right = request.target;
  request.target = wrong(right);
  if (request.target.extension == right.extension && request.target.guid == right.guid) {
    skip("both halves of the identifier are the same");
  }
  refused(lab, request, {login::cannot_associate});
}

// What is refused must not disturb the session that the same initiator has.
void refusals_spare_the_session(Lab& lab) {
  Channel& channel = lab.login();
  LoginRequest request = lab.request();
  request.target.guid ^= 1;
  refused(lab, request, {login::cannot_associate});
  request = lab.request();
  request.iu_bytes = 0xffffffff;
  refused(lab, request, {login::iu_too_large});
  lab.prove(channel);
}

// The CM of an initiator that offers no READ resources may take what the answer offers, as Linux's
// does.
void no_read_resources(Lab& lab) {
  Terms terms;
  terms.responder_resources = 0;
  const Attempt attempt = lab.attempt(lab.request(), terms);
  if (attempt.channel == nullptr) {
    lab.must_be_refused(attempt, {login::no_reason});
    lab.remark("refused lawfully");
  }
}

void random_initiators(Lab& lab, int count) {
  LoginRequest request = lab.request();
  request.target.guid ^= ~std::uint64_t{0};
  Terms terms;
  terms.receives = 1;
  for (int i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15;
    request.initiator = {number, ~number};
    lab.must_be_refused(lab.attempt(request, terms), {login::cannot_associate});
  }
}

void log_in_and_out(Lab& lab, int count) {
  for (int i = 0; i < count; ++i) {
    Channel& channel = lab.login();
    check(channel.link().disconnect_and_wait(lab.patience()), "the target does not answer a DREQ");
    lab.close_channels();
  }
}

// After some that fill caches, `count` more may not cost the target memory for good.
void leaves_nothing(Lab& lab, void (*act)(Lab&, int), int first, int count) {
  act(lab, first);
  const bool measured = lab.options().pid != 0;
  const std::int64_t before = measured ? lab.target_memory_kib() : 0;
  act(lab, count);
  if (measured) lab.target_memory_must_settle(before + 512);
}

void reserved_ones(Lab& lab) {
  LoginRequest request = lab.request();
  Bytes data = request.encode();
  for (std::size_t at = 50; at < 56; ++at) data[at] = 0xff;
  data[10] = 0x0c;  // reserved flags
  const Attempt attempt = lab.attempt(data);
  check(attempt.channel != nullptr, "refused");
  lab.prove(*attempt.channel);
}

const Case cases[] = {
    {"login/answer", "2.4", "limit, lengths and formats are usable; nothing unasked-for is granted",
     answer},
    {"login/constant_response_length", "2.4 P2", "MAX T->I IU LENGTH does not depend on the login",
     constant_response_length},
    {"login/reserved_ones", "1.3", "reserved bits are ignored", reserved_ones},
    {"login/no_private_data", "76", "refused, LOGIN_REJ 0x00010000",
     [](Lab& lab) { short_private_data(lab, 0); }},
    {"login/private_data_of_55_bytes", "76", "refused, LOGIN_REJ 0x00010000",
     [](Lab& lab) { short_private_data(lab, 55); }},
    {"login/opcode", "77", "another opcode than 0 is refused, LOGIN_REJ 0x00010000",
     [](Lab& lab) {
       for (const unsigned code : {0x01u, 0x02u, 0xc0u, 0xffu}) {
         LoginRequest request = lab.request();
         request.code = static_cast<std::uint8_t>(code);
         refused(lab, request, {login::no_reason});
       }
     }},
    {"login/iu_of_0_bytes", "78", "refused", [](Lab& lab) { size_of(lab, 0); }},
    {"login/iu_of_47_bytes", "78", "refused", [](Lab& lab) { size_of(lab, 47); }},
    {"login/iu_of_63_bytes", "78", "refused", [](Lab& lab) { size_of(lab, 63); }},
    {"login/iu_lengths", "79", "every length that an initiator is known to ask for is accepted",
     sizes},
    {"login/largest_iu", "79, 80", "the largest length is accepted, one more is reason 0x00010002",
     largest_size},
    {"login/no_formats", "81", "accepted, or reason 0x00010004", no_formats},
    {"login/direct_only", "1.2", "accepted", [](Lab& lab) { formats(lab, login::direct); }},
    {"login/formats_swapped", "82", "0x0200, as iPXE writes it, is accepted",
     [](Lab& lab) { formats(lab, 0x0200); }},
    {"login/unknown_format", "83", "refused, reason 0x00010004",
     [](Lab& lab) {
       LoginRequest request = lab.request();
       request.formats = 0x0008;
       refused(lab, request, {login::unsupported_format});
       request.formats = 0x8006;
       refused(lab, request, {login::unsupported_format});
     }},
    {"login/action_2", "84", "refused, reason 0x00010000", [](Lab& lab) { action(lab, 2); }},
    {"login/action_3", "84", "refused, reason 0x00010000", [](Lab& lab) { action(lab, 3); }},
    {"login/wrong_id_ext", "85", "refused, reason 0x00010003",
     [](Lab& lab) {
       other_target(lab, [](const PortId& id) { return PortId{id.extension ^ 1, id.guid}; });
     }},
    {"login/wrong_ioc_guid", "85", "refused, reason 0x00010003",
     [](Lab& lab) {
       other_target(lab, [](const PortId& id) { return PortId{id.extension, id.guid ^ 1}; });
     }},
    {"login/target_id_of_zeros", "85", "refused, reason 0x00010003",
     [](Lab& lab) { other_target(lab, [](const PortId&) {
                      return PortId{0, 0};
                    }); }},
    {"login/refusals_spare_the_session", "89", "the initiator's session goes on",
     refusals_spare_the_session},
    {"login/no_read_resources", "94", "refused with 0x00010000, or served as Linux's CM allows",
     no_read_resources},
    {"login/refusals_leave_nothing", "91",
     "hundreds of refusals cost no memory, the next login works",
     [](Lab& lab) { leaves_nothing(lab, random_initiators, 50, 250); }},
    {"login/logins_leave_nothing", "98", "logging in and out costs no memory",
     [](Lab& lab) { leaves_nothing(lab, log_in_and_out, 20, 60); }},
};

}  // namespace

std::span<const Case> login_cases() { return cases; }

}  // namespace conformance
