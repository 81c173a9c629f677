// From the device's completions to those whose work completed: the one switch on WorkKind.
#pragma once

namespace srp {

class Channel;

// The channel's CQ may not be empty: takes what is there, within a budget, and asks for an event
// when there is nothing left. Device::Callbacks::poll.
void poll(Channel& channel) noexcept;

}  // namespace srp
