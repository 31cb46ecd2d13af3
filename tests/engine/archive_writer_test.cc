// SPDX-License-Identifier: Apache-2.0
#include "caisson/archive_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "caisson/archive.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status WriteText(PyTorchStreamWriter& writer, const std::string& name,
                 const std::string& text, bool compress = false) {
  return writer.writeRecord(name, text.data(), text.size(), compress);
}

// What torch._C.PyTorchFileWriter of torch 2.13 made of these calls lies in
// tests/data/golden: an empty record, one whose payload begins like a data
// descriptor, and one without content.
void WriteGolden(PyTorchStreamWriter& writer) {
  CAISSON_ASSERT_OK(WriteText(writer, "a", "hello"));
  CAISSON_ASSERT_OK(WriteText(writer, "empty", ""));
  CAISSON_ASSERT_OK(WriteText(writer, "dir/c", std::string(1000, 'x')));
  CAISSON_ASSERT_OK(WriteText(writer, "quirk",
                              "PK\x07\x08"
                              "abcdefgh"));
  CAISSON_ASSERT_OK(writer.writeRecord("hole", nullptr, 100));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
}

TEST(PyTorchStreamWriter, WritesWhatTorchWritesByteForByte) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "stream_writer.v1.pt";
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(path));
  EXPECT_EQ(writer.archiveName(), "stream_writer.v1");
  WriteGolden(writer);
  EXPECT_EQ(FileText(path),
            FileText(CAISSON_TEST_DATA "/golden/stream_writer.v1.pt"));
}

TEST(PyTorchStreamWriter, GivesSinksAndMemoryTheSameBytes) {
  std::vector<std::byte> memory;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto to_memory,
                               PyTorchStreamWriter::Open(&memory));
  EXPECT_EQ(to_memory.archiveName(), "archive");
  WriteGolden(to_memory);
  std::string taken;
  CAISSON_ASSERT_OK_AND_ASSIGN(
      auto to_sink,
      PyTorchStreamWriter::Open([&](const void* data, size_t size) {
        taken.append(static_cast<const char*>(data), size);
        return size;
      }));
  WriteGolden(to_sink);
  EXPECT_EQ(taken, Text(memory));
}

TEST(PyTorchStreamWriter, IsReadBackByTheReader) {
  std::vector<std::byte> memory;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(&memory));
  const std::string text(100000, 'z');
  CAISSON_ASSERT_OK(WriteText(writer, "stored", text));
  CAISSON_ASSERT_OK(WriteText(writer, "deflated", text, /*compress=*/true));
  CAISSON_ASSERT_OK(WriteText(writer, "tiny", "abc", /*compress=*/true));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  EXPECT_LT(memory.size(), text.size() + 5000);

  CAISSON_ASSERT_OK_AND_ASSIGN(
      auto reader, PyTorchStreamReader::Open(
                       std::make_shared<MemoryAdapter>(std::span(memory))));
  for (const char* name : {"stored", "deflated"}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Record record, reader.getRecord(name));
    EXPECT_EQ(Text({record.data.get(), record.size}), text) << name;
  }
  EXPECT_EQ(reader.version(), 3u);
  EXPECT_EQ(reader.serializationId(), writer.serializationId());
  EXPECT_THAT(
      writer.getAllWrittenRecords(),
      testing::UnorderedElementsAre("stored", "deflated", "tiny", "version",
                                    "byteorder", ".data/serialization_id"));
}

TEST(PyTorchStreamWriter, DropsASerializationIdOfTheCallers) {
  std::vector<std::byte> memory;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(&memory));
  CAISSON_ASSERT_OK(WriteText(writer, ".data/serialization_id", "mine"));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  EXPECT_EQ(writer.serializationId().size(), 40u);
}

TEST(PyTorchStreamWriter, NamesTheVersionRecordByTheVersion) {
  std::vector<std::byte> memory;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(&memory));
  writer.setMinVersion(7);
  writer.setMinVersion(2);
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  EXPECT_TRUE(writer.getAllWrittenRecords().contains(".data/version"));
  EXPECT_FALSE(writer.getAllWrittenRecords().contains("version"));
}

TEST(PyTorchStreamWriter, StoresNoCrcWhenToldSo) {
  std::vector<std::byte> memory;
  ArchiveWriteOptions options;
  options.compute_crc32 = false;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer,
                               PyTorchStreamWriter::Open(&memory, options));
  CAISSON_ASSERT_OK(WriteText(writer, "a", "hello"));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  const size_t payload = Text(memory).find("hello");
  memory[payload] ^= std::byte{1};
  CAISSON_ASSERT_OK_AND_ASSIGN(
      auto reader, PyTorchStreamReader::Open(
                       std::make_shared<MemoryAdapter>(std::span(memory))));
  EXPECT_THAT(reader.getRecord("a").status(), IsOk());
}

TEST(PyTorchStreamWriter, AlignsTheDataOfEveryRecord) {
  for (const uint32_t alignment : {1u, 8u, 64u, 256u, 4096u, 32768u}) {
    std::vector<std::byte> memory;
    ArchiveWriteOptions options;
    options.alignment = alignment;
    CAISSON_ASSERT_OK_AND_ASSIGN(auto writer,
                                 PyTorchStreamWriter::Open(&memory, options));
    WriteGolden(writer);
    CAISSON_ASSERT_OK_AND_ASSIGN(
        auto reader, PyTorchStreamReader::Open(
                         std::make_shared<MemoryAdapter>(std::span(memory))));
    for (const std::string& name : reader.getAllRecords()) {
      EXPECT_EQ(*reader.getRecordOffset(name) % alignment, 0u) << name;
    }
  }
}

TEST(PyTorchStreamWriter, RefusesNamesThatReadersWouldMixUp) {
  std::vector<std::byte> memory;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(&memory));
  CAISSON_ASSERT_OK(WriteText(writer, "data.pkl", "x"));
  const size_t before = memory.size();
  const auto invalid = StatusIs(StatusCode::kInvalidArgument);
  EXPECT_THAT(WriteText(writer, "data.pkl", "y"), invalid);
  EXPECT_THAT(WriteText(writer, "DATA.PKL", "y"), invalid);
  EXPECT_THAT(WriteText(writer, "/etc/passwd", "y"), invalid);
  EXPECT_THAT(WriteText(writer, "", "y"), invalid);
  EXPECT_THAT(WriteText(writer, std::string("a\0b", 3), "y"), invalid);
  EXPECT_THAT(WriteText(writer, std::string(65535, 'n'), "y"), invalid);
  EXPECT_EQ(memory.size(), before);
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
}

TEST(PyTorchStreamWriter, RefusesRecordsAfterTheEnd) {
  std::vector<std::byte> memory;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(&memory));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  EXPECT_TRUE(writer.finalized());
  const size_t before = memory.size();
  EXPECT_THAT(WriteText(writer, "late", "x"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(WriteText(writer, ".data/serialization_id", "x"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(writer.writeEndOfFile(), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(memory.size(), before);
}

// What is refused leaves neither a file nor a temporary, and the archive can
// still be finished as if it had not been asked for.
TEST(PyTorchStreamWriter, LeavesNoFileOfARecordThatItRefused) {
  for (const std::string& name :
       {std::string("data.pkl"), std::string("DATA.pkl"), std::string("/abs"),
        std::string(), std::string("a\0b", 3), std::string(65535, 'n')}) {
    SCOPED_TRACE(name.substr(0, 20));
    for (const bool finished : {false, true}) {
      const ScratchDirectory scratch;
      {
        CAISSON_ASSERT_OK_AND_ASSIGN(
            auto writer, PyTorchStreamWriter::Open(scratch / "a.pt"));
        CAISSON_ASSERT_OK(WriteText(writer, "data.pkl", "x"));
        EXPECT_THAT(WriteText(writer, name, "y"),
                    StatusIs(StatusCode::kInvalidArgument));
        if (finished) {
          CAISSON_ASSERT_OK(writer.writeEndOfFile());
        }
      }
      if (!finished) {
        EXPECT_THAT(scratch.Names(), testing::IsEmpty());
        continue;
      }
      EXPECT_THAT(scratch.Names(), testing::ElementsAre("a.pt"));
      CAISSON_ASSERT_OK_AND_ASSIGN(const auto reader,
                                   PyTorchStreamReader::Open(scratch / "a.pt"));
      EXPECT_THAT(reader.getAllRecords(),
                  testing::ElementsAre("data.pkl", "version", "byteorder",
                                       ".data/serialization_id"));
    }
  }
}

// The records of the end must not be twins of the caller's either.
TEST(PyTorchStreamWriter, CannotEndAfterATwinOfTheRecordsOfTheEnd) {
  for (const char* name :
       {"version", "VERSION", "ByteOrder", ".data/Serialization_ID"}) {
    const ScratchDirectory scratch;
    {
      CAISSON_ASSERT_OK_AND_ASSIGN(auto writer,
                                   PyTorchStreamWriter::Open(scratch / "a.pt"));
      CAISSON_ASSERT_OK(WriteText(writer, name, "x"));
      EXPECT_THAT(writer.writeEndOfFile(),
                  StatusIs(StatusCode::kInvalidArgument));
      EXPECT_FALSE(writer.finalized());
    }
    EXPECT_THAT(scratch.Names(), testing::IsEmpty()) << name;
  }
}

TEST(PyTorchStreamWriter, KeepsAFinishedFileWhateverComesAfter) {
  const ScratchDirectory scratch;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer,
                               PyTorchStreamWriter::Open(scratch / "a.pt"));
  CAISSON_ASSERT_OK(WriteText(writer, "a", "x"));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  const std::string finished = FileText(scratch / "a.pt");
  EXPECT_THAT(WriteText(writer, "late", "x"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(writer.writeRecord("hole", nullptr, 10),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(writer.writeEndOfFile(), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(FileText(scratch / "a.pt"), finished);
  EXPECT_THAT(scratch.Names(), testing::ElementsAre("a.pt"));
}

// formats.md 8.2: dangerous to who extracts them, harmless as keys.
TEST(PyTorchStreamWriter, TakesOddNamesAsOpaqueKeys) {
  const ScratchDirectory scratch;
  const char* const kNames[] = {"data/../../x", "..", "C:\\x", "a//b", " "};
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer,
                               PyTorchStreamWriter::Open(scratch / "a.pt"));
  for (const char* name : kNames) {
    CAISSON_ASSERT_OK(WriteText(writer, name, name));
  }
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto reader,
                               PyTorchStreamReader::Open(scratch / "a.pt"));
  for (const char* name : kNames) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Record record, reader.getRecord(name));
    EXPECT_EQ(Text({record.data.get(), record.size}), name);
  }
  EXPECT_THAT(scratch.Names(), testing::ElementsAre("a.pt"));
}

TEST(PyTorchStreamWriter, LeavesTheOldFileUntilTheEnd) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "model.pt";
  std::ofstream(path) << "old";
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(auto writer, PyTorchStreamWriter::Open(path));
    CAISSON_ASSERT_OK(WriteText(writer, "a", std::string(3 << 20, 'x')));
    EXPECT_EQ(FileText(path), "old");
  }  // never finished
  EXPECT_EQ(FileText(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(
                              std::filesystem::path(path).parent_path()),
                          {}),
            1);
}

TEST(PyTorchStreamWriter, CannotGoOnAfterItsSinkFailed) {
  size_t room = 1000;
  CAISSON_ASSERT_OK_AND_ASSIGN(
      auto writer, PyTorchStreamWriter::Open([&](const void*, size_t size) {
        const size_t taken = std::min(room, size);
        room -= taken;
        return taken;
      }));
  EXPECT_THAT(WriteText(writer, "a", std::string(5000, 'x')),
              StatusIs(StatusCode::kIo));
  room = 1 << 20;
  EXPECT_THAT(WriteText(writer, "b", "x"), StatusIs(StatusCode::kIo));
  EXPECT_THAT(writer.writeEndOfFile(), StatusIs(StatusCode::kIo));
  EXPECT_FALSE(writer.finalized());
}

TEST(PyTorchStreamWriter, RefusesPathsAndOptionsThatCannotBe) {
  const ScratchDirectory scratch;
  const auto invalid = StatusIs(StatusCode::kInvalidArgument);
  EXPECT_THAT(PyTorchStreamWriter::Open(scratch / ".hidden").status(), invalid);
  ArchiveWriteOptions options;
  options.alignment = 0;
  EXPECT_THAT(PyTorchStreamWriter::Open(scratch / "a.pt", options).status(),
              invalid);
  options.alignment = 32769;
  EXPECT_THAT(PyTorchStreamWriter::Open(scratch / "a.pt", options).status(),
              invalid);
  EXPECT_THAT(PyTorchStreamWriter::Open(scratch / "missing/a.pt").status(),
              StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace caisson
