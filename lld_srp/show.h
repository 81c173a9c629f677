// What tgtadm's show and stat print for people. The sessions of a nexus, the channels of a session.
#pragma once

#include <ctime>
#include <string>

#include "lld_srp/driver.h"
#include "plugin_api/tgt_abi.h"

namespace srp {

void show_system(Driver& driver, tgt::concat_buf* out);
void show_portals(Driver& driver, tgt::concat_buf* out);
void show_target(Driver& driver, const TargetPort& port, tgt::concat_buf* out);
void show_session(Driver& driver, Session& session, tgt::concat_buf* out);
// tgt's own table: a line for each unit of a session.
void show_statistics(const TargetPort& port, const Session& session, tgt::concat_buf* out);

// What to write to add_target, to log in to port over path; empty where it is not served there.
std::string login_text(const TargetPort& port, const Listener::Access& access);

// "2026-11-23T01:02:03Z"
std::string time_text(std::time_t time);

// "opcode 0x28 of unit 1: status 0x02, sense 5/24/00"
std::string failure_text(const FailedCommand& failed);

}  // namespace srp
