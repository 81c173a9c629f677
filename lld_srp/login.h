// Who may log in where: the decision over one SRP_LOGIN_REQ, apart from how it arrived.
#pragma once

#include <optional>
#include <string>

#include "lld_srp/acl.h"
#include "lld_srp/config.h"
#include "lld_srp/iu.h"
#include "lld_srp/target_port.h"

namespace srp {

struct LoginVerdict {
  TargetPort* port = nullptr;  // null: refused
  // The initiator's live session with the same SRP target port, perhaps at another of the targets
  // that share it; null: none. It is joined or replaced, as the request says.
  Session* session = nullptr;
  wire::LoginRejReason reason{};
  std::string why;  // of a refusal: what, and what an administrator can do
};

// Of several targets that share the target port, the one whose ACL names the initiator most exactly
// is chosen. Refused are: an initiator that two admit alike; a channel that would be at another
// target than its session, or comes from another host; an initiator that has had another of them
// lately (regroup_s), since it may still have that one's units.
// Precondition: parse_login() found no fault, ports are in sync with tgtd.
LoginVerdict judge_login(const LoginRequest& request, const InitiatorIdentity& initiator,
                         const Path& path, const TargetPorts& ports, const Settings& settings);

// May the initiator send immediate data where it wants to? (Linux: 68 bytes into an SRP_CMD.)
bool grants_immediate(const LoginRequest& request, const Settings& settings) noexcept;

// If the settings allow that the identifiers are in the order of SRP revision 10 (GUID first) and
// a target has the one that is asked for: puts both in today's order.
void accept_rev10(LoginRequest& request, const Path& path, const TargetPorts& ports,
                  const Settings& settings);

}  // namespace srp
