// SPDX-License-Identifier: Apache-2.0
//
// A file of more than 4 GiB, nearly all of it a hole: what is written where
// 32 bits no longer hold a size or an offset, and what is read back.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "caisson/crc32.h"
#include "caisson/reader.h"
#include "core/io/file.h"
#include "tests/engine/huge_file.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::ElementsAre;

constexpr uint64_t k5GiB = 5 * (k4GiB / 4);

// To read a hole costs page cache on a disk, and nothing in memory.
std::string CheapestFolder() {
  constexpr char kMemory[] = "/dev/shm";
  return access(kMemory, W_OK) == 0 ? kMemory : testing::TempDir();
}

void WriteHuge(const std::string& path) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const State state, HugeState());
  CAISSON_ASSERT_OK_AND_ASSIGN(const PartTotals totals,
                               WriteWithHoles(state, path));
  EXPECT_EQ(totals.tensor_bytes, 100 + kHugeBytes + 4000 + 6);
  EXPECT_EQ(totals.file_bytes, std::filesystem::file_size(path));
}

// One file for all tests, as to write it takes a second or more.
class BigFileTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = std::make_unique<ScratchDirectory>(CheapestFolder());
    path_ = *scratch_ / "huge.pt";
    holes_ = HasHoles(scratch_->path());
    if (!holes_) return;
    WriteHuge(path_);
  }
  static void TearDownTestSuite() { scratch_.reset(); }

  void SetUp() override {
    if (!holes_) {
      GTEST_SKIP() << scratch_->path() << ": the file system has no holes";
    }
  }

  static std::string BytesAt(uint64_t offset, size_t bytes) {
    std::string content(bytes, '\0');
    const Result<File> file = File::OpenForRead(path_);
    EXPECT_THAT(file.status(), IsOk());
    if (file.has_value()) {
      EXPECT_THAT(file->ReadAt(offset, AsWritable(content)), IsOk());
    }
    return content;
  }

  static inline std::unique_ptr<ScratchDirectory> scratch_;
  static inline std::string path_;
  static inline bool holes_ = false;
};

// formats.md 1.3 to 1.6: the zip64 extra of a local header, before its padding.
std::string LocalExtra(const std::string& header, size_t name_bytes) {
  const std::string extra = header.substr(30 + name_bytes);
  return extra.substr(0, extra.find("FB"));
}

TEST_F(BigFileTest, WritesSizesAndOffsetsBeyond32BitsAndReadsThem) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader archive,
                               PyTorchStreamReader::Open(path_));
  struct Expected {
    const char* record;
    uint64_t bytes;
    bool beyond;  // its header lies above 4 GiB
  };
  constexpr Expected kRecords[] = {
      {"data/0", 100, false}, {"data/1", kHugeBytes, false},
      {"data/2", 4000, true}, {"data/3", 0, true},
      {"data/4", 6, true},    {"version", 2, true}};
  uint64_t next = *archive.getRecordHeaderOffset("data/0");
  for (const auto& [record, bytes, beyond] : kRecords) {
    SCOPED_TRACE(record);
    const std::string name = std::string("archive/").append(record);
    const uint64_t header = *archive.getRecordHeaderOffset(record);
    const uint64_t data = *archive.getRecordOffset(record);
    EXPECT_EQ(header, next);
    EXPECT_EQ(header >= k4GiB, beyond);
    EXPECT_EQ(data, PyTorchStreamReader::getRecordOffsetNoRead(header, name,
                                                               bytes, 64));
    EXPECT_EQ(data % 64, 0u);
    std::string fields;
    if (bytes >= k4GiB) fields += Le64(bytes) + Le64(0);
    if (beyond) fields += Le64(header);
    EXPECT_EQ(LocalExtra(BytesAt(header, data - header), name.size()),
              fields.empty() ? "" : ExtraField(1, fields));
    const size_t width = fields.empty() ? 4 : 8;
    const size_t descriptor = bytes == 0 ? 0 : 8 + 2 * width;
    if (descriptor > 0) {
      const std::string found = BytesAt(data + bytes, descriptor);
      EXPECT_EQ(found.substr(0, 4), "PK\x07\x08");
      const std::string size = width == 4 ? Le32(bytes) : Le64(bytes);
      EXPECT_EQ(found.substr(8), size + size);
    }
    next = data + bytes + descriptor;
  }
}

TEST_F(BigFileTest, ReadsWhatLiesBeyond4GiB) {
  struct stat found;
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_LT(found.st_blocks * 512, 64 << 20);

  CAISSON_ASSERT_OK_AND_ASSIGN(const std::shared_ptr<FileAdapter> file,
                               FileAdapter::Open(path_));
  const auto counted = std::make_shared<CountingAdapter>(file);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  EXPECT_LT(counted->bytes, uint64_t{1} << 20);
  const TensorInfo* huge = *reader.Find("huge");
  EXPECT_EQ(huge->stored_bytes, kHugeBytes);
  const TensorInfo* after = *reader.Find("after");
  EXPECT_GT(after->offset, k4GiB);

  const auto end = static_cast<int64_t>(kHugeBytes);
  CAISSON_ASSERT_OK_AND_ASSIGN(const ByteVector tail,
                               ReadBlock(reader, huge, {{end - 6, end}}));
  EXPECT_EQ(std::memcmp(tail.data(), "\0tail!", 6), 0);
  std::vector<Block> blocks = {{*reader.Find("ends"), {}},
                               {after, {}},
                               {*reader.Find("last"), {}},
                               {*reader.Find("empty"), {}},
                               {huge, {{end - 1, end}}}};
  std::vector<ReadRequest> requests;
  for (Block& block : blocks) requests.push_back(block.Request());
  CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report, reader.Read(requests));
  EXPECT_THAT(report.checked, ElementsAre(false, true, true, true, false));
  EXPECT_EQ(report.bytes_read, 4u + 4000 + 6 + 1);
  EXPECT_EQ(std::memcmp(blocks[0].bytes.data(), "\xab\0l!", 4), 0);
  EXPECT_EQ(blocks[1].bytes,
            PlainGather(PatternTensor(DType::kFloat32, {1000}, 2)));
  EXPECT_EQ(blocks[2].bytes, PlainGather(PatternTensor(DType::kInt16, {3}, 4)));
}

TEST_F(BigFileTest, FindsOneBitBeyond4GiB) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(path_));
  const TensorInfo* huge = *reader.Find("huge");
  // The CRC, put together from those of its runs.
  uint32_t zeros = Crc32(0, std::vector<std::byte>(1));
  uint32_t expected = Crc32(0, std::vector<std::byte>(1, std::byte{0xab}));
  for (uint64_t left = kHugeBytes - 6, bytes = 1; left > 0; bytes *= 2) {
    if (left % 2 == 1) expected = Crc32Combine(expected, zeros, bytes);
    zeros = Crc32Combine(zeros, zeros, bytes);
    left /= 2;
  }
  const uint32_t tail = Crc32(0, AsBytes("tail!"));
  EXPECT_EQ(huge->crc32, Crc32Combine(expected, tail, 5));

  File file(open(path_.c_str(), O_RDWR | O_CLOEXEC), path_,
            FileSystem::Posix());
  const uint64_t at = huge->offset + k4GiB;
  const std::string sound = BytesAt(at, 1);
  CAISSON_ASSERT_OK(file.WriteAt(at, AsBytes("\x04")));
  const Result<VerifyReport> verified = reader.Verify();
  CAISSON_ASSERT_OK(file.WriteAt(at, AsBytes(sound)));
  CAISSON_ASSERT_OK(verified);
  const VerifyReport& report = *verified;
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(report.damage[0].record, "data/1");
  EXPECT_THAT(report.damage[0].tensors, ElementsAre("huge", "ends"));
}

// A record that was reserved and not yet filled: a hole and no CRC.
TEST(BigHole, ReadsRecordsThatAreHoles) {
  State state;
  state["t"] = RandomTensor(DType::kUInt8, {1}, 1);
  Records records = RecordsOf(FileOf(state));
  std::string& pickle = records["data.pkl"].content;
  // 5 GiB for 1, as the storage's size and as the view's: LONG1 for BININT1.
  const std::string size = std::string("\x8a\x05") + Le64(k5GiB).substr(0, 5);
  size_t changed = 0;
  for (size_t at = 0; (at = pickle.find("K\x01", at)) != std::string::npos;) {
    // Not the stride, which is the last of the three.
    if (++changed == 3) break;
    pickle.replace(at, 2, size);
    at += size.size();
  }
  ASSERT_EQ(changed, 3u);
  ZipBuilder zip;
  for (const auto& item : records.items) {
    item.name == "archive/data/0" ? zip.AddHole(item.name, k5GiB)
                                  : zip.Add(item.name, item.content);
  }
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(zip.BuildSparse()));
  const TensorInfo* t = *reader.Find("t");
  EXPECT_EQ(t->stored_bytes, k5GiB);
  EXPECT_FALSE(t->crc32.has_value());
  const auto end = static_cast<int64_t>(t->stored_bytes);
  EXPECT_THAT(ReadBlock(reader, t, {{end - 3, end}}),
              IsOkAndHolds(ByteVector(3)));
}

}  // namespace
}  // namespace caisson
