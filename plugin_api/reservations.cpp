#include "plugin_api/reservations.h"

#include "plugin_api/target_view.h"

namespace srp::tgt {

namespace {

// Calls visit(registration&) for each of the nexus until it returns true.
template <class Visit>
bool find_registration(target& t, const NexusStamp& nexus, Visit&& visit) {
  return find_in_list<scsi_lu>(t.device_list, offsetof(scsi_lu, device_siblings), [&](scsi_lu& lu) {
           return find_in_list<registration>(
                      lu.registration_list, offsetof(registration, registration_siblings),
                      [&](registration& r) {
                        return r.nexus_id == nexus.id && r.ctime == nexus.created && visit(r);
                      }) != nullptr;
         }) != nullptr;
}

}  // namespace

NexusStamp stamp_of(int tid, std::uint64_t nexus_id) noexcept {
  const it_nexus* nexus = it_nexus_lookup(tid, nexus_id);
  return nexus != nullptr ? NexusStamp{nexus->itn_id, nexus->ctime} : NexusStamp{};
}

bool has_registrations(target& t, const NexusStamp& nexus) noexcept {
  return find_registration(t, nexus, [](registration&) { return true; });
}

void move_registrations(target& t, const NexusStamp& from, const NexusStamp& to) noexcept {
  (void)find_registration(t, from, [&to](registration& r) {
    r.nexus_id = to.id;
    r.ctime = to.created;
    return false;
  });
}

}  // namespace srp::tgt
