# The packages: "cpack -G DEB" and "cpack -G RPM" in the build directory, one package for each component.
# Included last, when every install() is known. Configure with -DCMAKE_INSTALL_PREFIX=/usr, which the manual pages name.

set(package_source ${CMAKE_CURRENT_LIST_DIR})

# tgtd's binary interface has no version of its own. It was found the same in a range of releases, which
# tests/suites/abi checks against their headers; a release beyond is not trusted until it has been looked at.
file(STRINGS ${PROJECT_SOURCE_DIR}/plugin_api/tgt_layout.def layout_range REGEX "Identical from tgt .* to ")
if(NOT layout_range MATCHES "from tgt ([0-9.]+) to ([0-9]+\\.[0-9]+)\\.([0-9]+)\\.$")
  message(FATAL_ERROR "plugin_api/tgt_layout.def does not say for which releases of tgt it holds")
endif()
set(tgt_first ${CMAKE_MATCH_1})
math(EXPR tgt_beyond_patch "${CMAKE_MATCH_3} + 1")
set(tgt_beyond ${CMAKE_MATCH_2}.${tgt_beyond_patch})
set(tgt_tested 1.0.85)   # Debian 12's: what the suites run

set(CPACK_PACKAGE_VENDOR "tgt-srp")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_GROUPING IGNORE)
get_cmake_property(CPACK_COMPONENTS_ALL COMPONENTS)
list(REMOVE_ITEM CPACK_COMPONENTS_ALL Unspecified)

# The first line is Debian's summary; empty, the project's own does not come before it.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_COMPONENT_TARGET_DESCRIPTION
"SRP target driver for tgtd: disks over RDMA
With this driver the storage daemon tgtd serves its targets over SRP, the
SCSI RDMA Protocol, on InfiniBand, RoCE and iWARP: beside iSCSI and with the
same tools. Linux's initiator for it is ib_srp.")

set(CPACK_COMPONENT_INITIATOR_DESCRIPTION
"log Linux in to SRP targets, and out again
A program around the kernel's initiator ib_srp, which finds the RDMA port, says
why a target has refused, takes care of disks in use, and logs in at boot.")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_TARGET_PACKAGE_NAME tgt-srp)
set(CPACK_DEBIAN_TARGET_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TARGET_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TARGET_PACKAGE_DEPENDS
    "tgt (>= 1:${tgt_tested}), tgt (<< 1:${tgt_beyond}~), ibverbs-providers")
set(CPACK_DEBIAN_TARGET_PACKAGE_RECOMMENDS rdma-core)
set(CPACK_DEBIAN_TARGET_PACKAGE_CONTROL_EXTRA ${package_source}/conffiles ${package_source}/postinst
    ${package_source}/prerm ${package_source}/postrm)
set(CPACK_DEBIAN_INITIATOR_PACKAGE_NAME srp-login)
set(CPACK_DEBIAN_INITIATOR_PACKAGE_SECTION net)
set(CPACK_DEBIAN_INITIATOR_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_INITIATOR_PACKAGE_DEPENDS "kmod, iproute2")
set(CPACK_DEBIAN_INITIATOR_PACKAGE_RECOMMENDS rdma-core)

set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_LICENSE "GPL-2.0-only")
set(CPACK_RPM_TARGET_PACKAGE_NAME tgt-srp)
set(CPACK_RPM_TARGET_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_TARGET_PACKAGE_SUMMARY "SRP target driver for tgtd: disks over RDMA")
set(CPACK_RPM_TARGET_PACKAGE_REQUIRES
    "scsi-target-utils >= ${tgt_first}, scsi-target-utils < ${tgt_beyond}")
set(CPACK_RPM_TARGET_PACKAGE_AUTOPROV OFF)   # a module, not a library for others
set(CPACK_RPM_TARGET_USER_FILELIST "%config(noreplace) /etc/tgt/srp.conf")
set(CPACK_RPM_TARGET_POST_INSTALL_SCRIPT_FILE ${package_source}/rpm-post)
set(CPACK_RPM_TARGET_POST_UNINSTALL_SCRIPT_FILE ${package_source}/rpm-postun)
set(CPACK_RPM_INITIATOR_PACKAGE_NAME srp-login)
set(CPACK_RPM_INITIATOR_PACKAGE_ARCHITECTURE noarch)
set(CPACK_RPM_INITIATOR_PACKAGE_SUMMARY "log Linux in to SRP targets, and out again")
set(CPACK_RPM_INITIATOR_PACKAGE_REQUIRES "kmod, iproute")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
    /etc /etc/tgt /usr/lib/systemd /usr/lib/systemd/system /usr/lib/tgt /usr/lib/tgt/backing-store
    /usr/share/man /usr/share/man/man5 /usr/share/man/man8)

include(CPack)
