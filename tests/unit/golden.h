// IUs byte by byte, made from the standard's tables and not from wire.h: initiator port
// 0:505400fffe4a0b7b, target port 0002c90300a34270 twice. Tags are those of an x86 ib_srp: hardware
// queue 1, request 2ah; task management 80000001h; both little-endian.
#pragma once

#include <string_view>

namespace srp::test {

// SRP_LOGIN_REQ as in an RDMA/CM request: IUs of 8260 bytes, immediate data at 68, SINGLE.
inline constexpr std::string_view g1_login_req_rdma =
    "00000000 00000000 00068000 00002044 00000000 00000000 505400ff fe4a0b7b"
    "0002c903 00a34270 0002c903 00a34270 00440000 00000000";
// The same in the standard's own form, as an IB/CM request carries it.
inline constexpr std::string_view g2_login_req_ib =
    "00000000 00000000 00000000 00000000 00002044 00000000 00068000 00440000"
    "00000000 00000000 505400ff fe4a0b7b 0002c903 00a34270 0002c903 00a34270";
// SRP_LOGIN_RSP: 128 credits, 8276 bytes in, 320 out; immediate data not granted.
inline constexpr std::string_view g3_login_rsp =
    "c0000000 00000080 00000000 00000000 00002054 00000140 00060000 00000000"
    "00000000 00000000 00000000 00000000 00000000";
// SRP_LOGIN_REJ, reason 3.
inline constexpr std::string_view g4_login_rej =
    "c2000000 00010003 00000000 00000000 00000000 00000000 00060000 00000000";
// READ(10) of 8 blocks from LUN 1, direct.
inline constexpr std::string_view g5_cmd_direct =
    "02000000 00010000 2a000100 00000000 00000000 00010000 00000000 00000000"
    "28000000 10000000 08000000 00000000 00007f00 12345000 00a1b2c3 00001000";
// WRITE(10) of 16 blocks, indirect, 2 descriptors of 2 in the IU.
inline constexpr std::string_view g6_cmd_indirect =
    "02000000 00200200 2a000100 00000000 00000000 00010000 00000000 00000000"
    "2a000000 10000000 10000000 00000000 00007f00 55550000 00a1b2c4 00000020"
    "00002000 00007f00 12345000 00a1b2c3 00001000 00007f00 12347000 00a1b2c3"
    "00001000";
// WRITE(10) of 1 block, immediate; the first 8 of 512 bytes.
inline constexpr std::string_view g7_cmd_immediate =
    "02000000 00300000 2a000100 00000000 00000000 00010000 00000000 00000000"
    "2a000000 10000000 01000000 00000000 00000200 00000000 00000000 00000000"
    "00000000 aaaaaaaa aaaaaaaa";
// SRP_RSP: GOOD.
inline constexpr std::string_view g8_rsp_good =
    "c1000000 00000001 2a000100 00000000 00000000 00000000 00000000 00000000"
    "00000000";
// GOOD, 3584 bytes less of data-in than offered.
inline constexpr std::string_view g9_rsp_underflow =
    "c1000000 00000001 2a000100 00000000 00002000 00000000 00000e00 00000000"
    "00000000";
// CHECK CONDITION, ILLEGAL REQUEST 0Eh/03h, none of 4096 bytes of data-out moved.
inline constexpr std::string_view g10_rsp_sense =
    "c1000000 00000001 2a000100 00000000 00000a02 00001000 00000000 00000012"
    "00000000 70000500 0000000a 00000000 0e030000 0000";
// SRP_TSK_MGMT: ABORT TASK of G5.
inline constexpr std::string_view g11_tsk_mgmt =
    "01000000 00000000 01000080 00000000 00000000 00010000 00000000 00000100"
    "2a000100 00000000 00000000 00000000";
// SRP_RSP for G11, with the credit of the aborted command.
inline constexpr std::string_view g12_rsp_task =
    "c1000000 00000002 01000080 00000000 00000100 00000000 00000000 00000000"
    "00000004 00000000";

}  // namespace srp::test
