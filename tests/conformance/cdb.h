// The few SCSI commands that the cases need.
#pragma once

#include "bytes.h"

namespace conformance::cdb {

namespace operation {
inline constexpr std::uint8_t test_unit_ready = 0x00, inquiry = 0x12, read_capacity_10 = 0x25,
                              read_10 = 0x28, write_10 = 0x2a, read_16 = 0x88, report_luns = 0xa0;
}

inline Bytes test_unit_ready() { return Bytes(16); }

inline Bytes inquiry(std::uint16_t allocation) {
  Bytes cdb(16);
  cdb[0] = operation::inquiry;
  put(cdb, 3, allocation, 2);
  return cdb;
}

inline Bytes read_capacity() {
  Bytes cdb(16);
  cdb[0] = operation::read_capacity_10;
  return cdb;
}

inline Bytes report_luns(std::uint32_t allocation) {
  Bytes cdb(16);
  cdb[0] = operation::report_luns;
  put(cdb, 6, allocation, 4);
  return cdb;
}

inline Bytes transfer_10(std::uint8_t operation, std::uint32_t lba, std::uint16_t blocks) {
  Bytes cdb(16);
  cdb[0] = operation;
  put(cdb, 2, lba, 4);
  put(cdb, 7, blocks, 2);
  return cdb;
}
inline Bytes read_10(std::uint32_t lba, std::uint16_t blocks) {
  return transfer_10(operation::read_10, lba, blocks);
}
inline Bytes write_10(std::uint32_t lba, std::uint16_t blocks) {
  return transfer_10(operation::write_10, lba, blocks);
}

inline Bytes read_16(std::uint32_t lba, std::uint32_t blocks) {
  Bytes cdb(16);
  cdb[0] = operation::read_16;
  put(cdb, 2, lba, 8);
  put(cdb, 10, blocks, 4);
  return cdb;
}

}  // namespace conformance::cdb
