// What is closed of a device that has gone, and what is not touched.
#include "lld_srp/device_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(DeviceWatch) {
  std::string folder = "/tmp/srp-device-XXXXXX";
  std::string entry;  // the device's in sysfs
  ibv_device device{};
  ibv_context context{};
  DeviceWatch watch;

  void setup() override {
    if (const char* directory = std::getenv("TMPDIR"))
      folder = std::string(directory) + "/srp-XXXXXX";
    CHECK(mkdtemp(folder.data()) != nullptr);
    entry = folder + "/uverbs0";
    touch(entry);
    std::snprintf(device.dev_path, sizeof device.dev_path, "%s", entry.c_str());
    context.device = &device;
    context.cmd_fd = open_file("command");
    context.async_fd = open_file("async");
  }
  void teardown() override {
    close(context.cmd_fd);
    close(context.async_fd);
    for (const char* name : {"uverbs0", "command", "async", "other"}) {
      unlink((folder + "/" + name).c_str());
    }
    rmdir(folder.c_str());
  }
  static void touch(const std::string& path) { close(creat(path.c_str(), 0600)); }
  int open_file(const char* name) {
    return open((folder + "/" + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }
  static bool is_null(int fd) {
    struct stat file {};
    struct stat null {};
    CHECK_EQUAL(0, fstat(fd, &file));
    CHECK_EQUAL(0, stat("/dev/null", &null));
    return file.st_rdev == null.st_rdev && S_ISCHR(file.st_mode);
  }
};

TEST(DeviceWatch, device_identity__tells_an_entry_from_the_next_of_its_name) {
  const std::uint64_t identity = device_identity(entry.c_str());
  CHECK_TRUE(identity != 0);
  CHECK_EQUAL(identity, device_identity(entry.c_str()));
  touch(folder + "/other");
  std::rename((folder + "/other").c_str(), entry.c_str());
  CHECK_TRUE(device_identity(entry.c_str()) != identity);
  unlink(entry.c_str());
  CHECK_EQUAL(0U, device_identity(entry.c_str()));
  CHECK_EQUAL(0U, device_identity(""));
}

TEST(DeviceWatch, release_removed__leaves_a_device_that_is_there) {
  watch.saw(context);
  watch.release_removed();
  CHECK_FALSE(is_null(context.cmd_fd));
  CHECK_FALSE(is_null(context.async_fd));
}

// The names of the files are not those of a device's, so nothing may happen to them.
TEST(DeviceWatch, release_removed__ends_no_file_that_is_not_a_devices) {
  watch.saw(context);
  unlink(entry.c_str());
  watch.release_removed();
  CHECK_FALSE(is_null(context.cmd_fd));
  CHECK_FALSE(is_null(context.async_fd));
}

TEST(DeviceWatch, saw__a_context_without_an_entry_or_a_file_is_not_kept) {
  unlink(entry.c_str());
  watch.saw(context);
  touch(entry);
  ibv_context closed = context;
  closed.cmd_fd = -1;
  watch.saw(closed);
  unlink(entry.c_str());
  watch.release_removed();
  CHECK_FALSE(is_null(context.cmd_fd));
}
