// SPDX-License-Identifier: Apache-2.0
//
// Constants of the ZIP file format. Numbers are sections of PKWARE's
// APPNOTE.TXT 6.3.10; "FB" is PyTorch's own extra field (docs/formats.md).
//
//   [local header | name | extra | data | data descriptor] ...
//   [central header | name | extra] ...
//   [zip64 end record] [zip64 locator] [end record | comment]
#pragma once

#include <cstdint>

namespace caisson::zip {

inline constexpr uint32_t kLocalSignature = 0x04034b50;         // 4.3.7
inline constexpr uint32_t kDescriptorSignature = 0x08074b50;    // 4.3.9.3
inline constexpr uint32_t kCentralSignature = 0x02014b50;       // 4.3.12
inline constexpr uint32_t kZip64EndSignature = 0x06064b50;      // 4.3.14
inline constexpr uint32_t kZip64LocatorSignature = 0x07064b50;  // 4.3.15
inline constexpr uint32_t kEndSignature = 0x06054b50;           // 4.3.16

// Fixed parts, in bytes: the sums of the fields that the sections list.
inline constexpr uint32_t kLocalBytes =
    4 + 2 + 2 + 2 + 2 + 2 + 4 + 4 + 4 + 2 + 2;
inline constexpr uint32_t kCentralBytes =
    4 + 2 + 2 + 2 + 2 + 2 + 2 + 4 + 4 + 4 + 2 + 2 + 2 + 2 + 2 + 4 + 4;
inline constexpr uint32_t kZip64EndBytes =
    4 + 8 + 2 + 2 + 4 + 4 + 8 + 8 + 8 + 8;
inline constexpr uint32_t kZip64LocatorBytes = 4 + 4 + 8 + 4;
inline constexpr uint32_t kEndBytes = 4 + 2 + 2 + 2 + 2 + 4 + 4 + 2;
inline constexpr uint32_t kDescriptorBytes = 4 + 4 + 4 + 4;    // 4.3.9
inline constexpr uint32_t kDescriptor64Bytes = 4 + 4 + 8 + 8;  // 4.3.9.2
inline constexpr uint32_t kMaxCommentBytes = 0xffff;           // 4.4.12

// General purpose bits, 4.4.4.
inline constexpr uint16_t kFlagEncrypted = 1 << 0;
inline constexpr uint16_t kFlagDescriptor = 1 << 3;
inline constexpr uint16_t kFlagPatched = 1 << 5;
inline constexpr uint16_t kFlagStrongEncryption = 1 << 6;
inline constexpr uint16_t kFlagUtf8 = 1 << 11;
inline constexpr uint16_t kFlagMasked = 1 << 13;

// Methods, 4.4.5.
inline constexpr uint16_t kMethodStored = 0;
inline constexpr uint16_t kMethodDeflate = 8;

// A field that holds this stands in the zip64 extra field, 4.4.1.4.
inline constexpr uint32_t kMoved32 = 0xffffffff;
inline constexpr uint16_t kMoved16 = 0xffff;

inline constexpr uint16_t kExtraZip64 = 0x0001;    // 4.5.3
inline constexpr uint16_t kExtraPadding = 0x4246;  // 'F' 'B', formats.md 1.4

// DEFLATE cannot expand more than this: RFC 1951's longest match, 258 bytes,
// takes two bits at least.
inline constexpr uint64_t kMaxDeflateRatio = 1032;

}  // namespace caisson::zip
