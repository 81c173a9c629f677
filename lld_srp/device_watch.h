// RDMA devices that come and go.
//
// Kernels that cannot take a user's context away (soft-RoCE's cannot) let nobody remove a device
// that some process has open: `rdma link delete` waits. Our own contexts are closed by their owner,
// Listener. librdmacm has one more for each device that it has seen, and closes it only when it
// looks for another device and finds one; the last device of a host is never closed. So the files
// of such a context are replaced by /dev/null, which ends them in the kernel and leaves librdmacm
// with descriptors to close.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

struct ibv_context;

namespace srp {

// Identity of a device's entry in sysfs, which a device of the same name that comes later has not;
// 0 where there is none.
std::uint64_t device_identity(const char* sysfs_path) noexcept;

class DeviceWatch {
 public:
  // A context of librdmacm's is open: the verbs of a cm id.
  void saw(const ibv_context& context);
  // Ends those whose device has gone.
  void release_removed() noexcept;

 private:
  struct Seen {
    std::string sysfs_path;
    std::uint64_t identity;
    int command_fd;
    int async_fd;
    dev_t file_device;  // of command_fd, so that a number that now means another file is left alone
    ino_t file_inode;
  };

  static void end_files(const Seen& seen) noexcept;

  std::vector<Seen> seen_;
};

}  // namespace srp
