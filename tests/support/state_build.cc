// SPDX-License-Identifier: Apache-2.0
//
// Writes files for the peers, from nothing:
//
//   state_build state NAME FILE [OPTION...]    a state of built_states.h
//   state_build holes NAME FILE [OPTION...]    the same with a hole of CRC 0
//                                              for each storage, by
//                                              PyTorchStreamWriter
//   state_build records FILE [OPTION...]       named records, by
//                                              PyTorchStreamWriter
//   state_build beyond BYTES FILE [OPTION...]  a hole of so many bytes, and
//   small
//                                              and large records behind it
//   state_build sparse NAME FILE               as `state`, in the folder
//                                              "archive", with a hole for each
//                                              run of zeros
//
// Options: --alignment N, --no-crc.
// Exit status: 0, or 2 with a message.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/archive.h"
#include "caisson/archive_writer.h"
#include "caisson/writer.h"
#include "core/base/status_macros.h"
#include "tests/engine/huge_file.h"
#include "tests/support/built_states.h"

namespace caisson {
namespace {

struct Arguments {
  std::vector<std::string> words;
  uint32_t alignment = 64;
  bool crc = true;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--no-crc") {
      arguments.crc = false;
    } else if (word == "--alignment" && i + 1 < argc) {
      arguments.alignment = static_cast<uint32_t>(std::atoi(argv[++i]));
    } else {
      arguments.words.push_back(word);
    }
  }
  return arguments;
}

ArchiveWriteOptions ArchiveOptions(const Arguments& arguments) {
  ArchiveWriteOptions options;
  options.alignment = arguments.alignment;
  options.compute_crc32 = arguments.crc;
  options.sync = false;
  return options;
}

Status WriteState(const Arguments& arguments) {
  CAISSON_ASSIGN_OR_RETURN(const State state, BuiltState(arguments.words[1]));
  WriteOptions options;
  options.sync = false;
  options.profile = Profile();
  options.profile->alignment = arguments.alignment;
  options.profile->crc32 = arguments.crc;
  return Writer(options).Write(state, arguments.words[2]).status();
}

Status WriteSparse(const Arguments& arguments) {
  CAISSON_ASSIGN_OR_RETURN(const State state, BuiltState(arguments.words[1]));
  return WriteWithHoles(state, arguments.words[2]).status();
}

// The records of a file of that state, in their order.
Status WriteHoles(const Arguments& arguments) {
  const std::string& path = arguments.words[2];
  const std::string whole = path + ".whole";
  CAISSON_ASSIGN_OR_RETURN(const State state, BuiltState(arguments.words[1]));
  CAISSON_RETURN_IF_ERROR(WriteWithHoles(state, whole).status());
  const auto source = PyTorchStreamReader::Open(whole);
  std::remove(whole.c_str());
  if (!source) return source.error();
  CAISSON_ASSIGN_OR_RETURN(
      PyTorchStreamWriter writer,
      PyTorchStreamWriter::Open(path, ArchiveOptions(arguments)));
  for (const std::string& name : source->getAllRecords()) {
    if (name.starts_with("data/")) {
      CAISSON_ASSIGN_OR_RETURN(const uint64_t bytes,
                               source->getRecordSize(name));
      CAISSON_RETURN_IF_ERROR(writer.writeRecord(name, nullptr, bytes));
    } else if (name != "version" && name != ".data/serialization_id") {
      CAISSON_ASSIGN_OR_RETURN(const Record record, source->getRecord(name));
      CAISSON_RETURN_IF_ERROR(
          writer.writeRecord(name, record.data.get(), record.size));
    }
  }
  return writer.writeEndOfFile();
}

// What tests/peers/build.py asks of torch._C.PyTorchFileWriter.
Status WriteRecords(const Arguments& arguments) {
  CAISSON_ASSIGN_OR_RETURN(
      PyTorchStreamWriter writer,
      PyTorchStreamWriter::Open(arguments.words[1], ArchiveOptions(arguments)));
  for (const auto& [name, content] :
       {std::pair<std::string, std::string>("a", "hello"),
        {"empty", ""},
        {"dir/c", std::string(1000, 'x')},
        {".data/serialization_id", "mine"},
        {"quirk", "PK\x07\x08 and more"},
        {"data/../../x", "a key, no path"},
        {"back\\slash", std::string(70, 'y')}}) {
    CAISSON_RETURN_IF_ERROR(
        writer.writeRecord(name, content.data(), content.size()));
  }
  CAISSON_RETURN_IF_ERROR(writer.writeRecord("hole", nullptr, 100));
  return writer.writeEndOfFile();
}

// Records on both sides of where sizes and offsets need 64 bits.
Status WriteBeyond(const Arguments& arguments) {
  const uint64_t fill = std::strtoull(arguments.words[1].c_str(), nullptr, 10);
  CAISSON_ASSIGN_OR_RETURN(
      PyTorchStreamWriter writer,
      PyTorchStreamWriter::Open(arguments.words[2], ArchiveOptions(arguments)));
  CAISSON_RETURN_IF_ERROR(writer.writeRecord("fill", nullptr, fill));
  CAISSON_RETURN_IF_ERROR(writer.writeRecord("two", "ab", 2));
  CAISSON_RETURN_IF_ERROR(writer.writeRecord("none", "", 0));
  CAISSON_RETURN_IF_ERROR(writer.writeRecord("both", nullptr, 0xffffffff));
  CAISSON_RETURN_IF_ERROR(writer.writeRecord("end", "ab", 2));
  return writer.writeEndOfFile();
}

Status Run(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.words;
  const std::string what = words.empty() ? "" : words[0];
  if (what == "records" && words.size() == 2) return WriteRecords(arguments);
  if (what == "state" && words.size() == 3) return WriteState(arguments);
  if (what == "holes" && words.size() == 3) return WriteHoles(arguments);
  if (what == "beyond" && words.size() == 3) return WriteBeyond(arguments);
  if (what == "sparse" && words.size() == 3) return WriteSparse(arguments);
  return Status::InvalidArgument(
      "expected state, holes or sparse NAME FILE; beyond BYTES FILE; or "
      "records FILE");
}

}  // namespace
}  // namespace caisson

int main(int argc, char** argv) {
  const caisson::Status status = caisson::Run(caisson::Parse(argc, argv));
  if (status.ok()) return 0;
  std::fprintf(stderr, "state_build: %s\n", status.ToString().c_str());
  return 2;
}
