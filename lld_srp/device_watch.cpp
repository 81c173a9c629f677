#include "lld_srp/device_watch.h"

#include <fcntl.h>
#include <infiniband/verbs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "plugin_api/log.h"

namespace srp {

std::uint64_t device_identity(const char* sysfs_path) noexcept {
  struct stat status {};
  return stat(sysfs_path, &status) == 0 ? status.st_ino : 0;
}

namespace {

// Does the descriptor's name begin like that?
bool is_file(int fd, std::string_view name) noexcept {
  char link[32];
  char target[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t bytes = readlink(link, target, sizeof target);
  return bytes > 0 && std::string_view{target, static_cast<std::size_t>(bytes)}.starts_with(name);
}

}  // namespace

void DeviceWatch::saw(const ibv_context& context) {
  const std::string path = context.device->dev_path;
  const std::uint64_t identity = device_identity(path.c_str());
  struct stat file {};
  if (identity == 0 || fstat(context.cmd_fd, &file) != 0) return;
  const bool known = std::ranges::any_of(seen_, [&](const Seen& seen) {
    return seen.sysfs_path == path && seen.identity == identity;
  });
  if (known) return;
  seen_.push_back({path, identity, context.cmd_fd, context.async_fd, file.st_dev, file.st_ino});
}

void DeviceWatch::release_removed() noexcept {
  std::erase_if(seen_, [](const Seen& seen) {
    if (device_identity(seen.sysfs_path.c_str()) == seen.identity) return false;
    end_files(seen);
    return true;
  });
}

// librdmacm opens and closes both files together: if the first is still its own, so is the second.
// The names are looked at all the same, since a mistake here would end some other file of tgtd's.
void DeviceWatch::end_files(const Seen& seen) noexcept {
  struct stat file {};
  if (fstat(seen.command_fd, &file) != 0 || file.st_dev != seen.file_device ||
      file.st_ino != seen.file_inode || !is_file(seen.command_fd, "/dev/infiniband/uverbs") ||
      !is_file(seen.async_fd, "anon_inode:[infinibandevent]")) {
    return;
  }
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  (void)dup3(null, seen.command_fd, O_CLOEXEC);
  (void)dup3(null, seen.async_fd, O_CLOEXEC);
  close(null);
  log_debug("%s: librdmacm's context ended", seen.sysfs_path.c_str());
}

}  // namespace srp
