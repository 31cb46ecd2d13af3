// SPDX-License-Identifier: Apache-2.0
//
// Parses Caffe2's files into a Layout: databases of blobs, a single blob, the
// init nets of the model zoo. formats.md 5.
//
// Thread safety: free functions; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/layout.h"

namespace caisson::caffe2 {

enum class Form : uint8_t {
  kMinidb,
  kProtodb,
  kProtodbText,
  kNetDef,
  kNetDefText,
  kBlob,
};

// "minidb", "protodb", ...: Layout::format.
std::string_view Name(Form form);

// The form that the first record of `source` shows when it is walked through
// from end to end; what its name ends with (".minidb", ".pb", ".pbtxt") counts
// for an empty file and for text alone.
std::optional<Form> RecogniseForm(const ByteSource& source);

// The form that the suffix of `name` asks for: one of those that are written.
std::optional<Form> FormOfSuffix(std::string_view name);

struct ParsedBlobs {
  Layout layout;

  // Elements that the file has in a form without pieces (text, nets, lists in
  // several runs), decoded: Layout::sources[1]. Null if there are none.
  std::shared_ptr<const std::string> image;
};

// Reads what describes the tensors and no payload, but for text, for nets and
// for lists that are not packed: those are decoded at once. Tensors come in
// the order of their first records, under a path of one step: the name. Strings
// of up to 1 MiB are bytes; every other blob is an extra record.
//
// Errors: kCorrupt, naming record and offset, for what contradicts itself:
// chunks that are missing, overlap or differ in shape or type; kUnsupported.
Result<ParsedBlobs> ParseCaffe2(const ByteSource& source, Form form);

}  // namespace caisson::caffe2
