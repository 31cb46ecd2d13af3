// SPDX-License-Identifier: Apache-2.0
//
// Reader::Verify: every damaged bit is found and named, and what cannot be
// checked is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

// Storages of many sizes, each seen by one to three tensors.
struct Watched {
  State state;
  std::map<std::string, std::vector<std::string>> names;  // by record
};

Watched WatchedState() {
  Watched watched;
  std::mt19937 random(1);
  for (int i = 0; i < 40; ++i) {
    const std::string key = std::to_string(i);
    std::vector<std::string>& names =
        watched.names[std::string("data/").append(key)];
    const TensorView base = RandomTensor(
        i % 2 ? DType::kFloat32 : DType::kUInt8,
        {static_cast<int64_t>(random() % 3000 + 2)}, static_cast<uint64_t>(i));
    const Node tensor = base;
    watched.state["layers"][key]["w"] = tensor;
    names.push_back("layers." + key + ".w");
    if (i % 3 == 1) {
      watched.state["layers"][key]["view"] = ViewOf(base, {1}, {1}, 1);
      names.push_back("layers." + key + ".view");
    }
    if (i % 4 == 1) {
      watched.state["tied"][key] = tensor;
      names.push_back("tied." + key);
    }
  }
  return watched;
}

VerifyReport VerifyBytes(const std::string& file) {
  const Result<Reader> reader = OpenBytes(file);
  EXPECT_THAT(reader.status(), IsOk());
  if (!reader.has_value()) return {};
  const Result<VerifyReport> report = reader->Verify();
  EXPECT_THAT(report.status(), IsOk());
  return report.has_value() ? *report : VerifyReport();
}

TEST(Verify, FindsNothingInASoundFile) {
  const std::string file = FileOf(WatchedState().state);
  const VerifyReport report = VerifyBytes(file);
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.unchecked, IsEmpty());
  EXPECT_EQ(report.checked, RecordsOf(file).items.size());
}

TEST(Verify, FindsEachOfManyFlippedBitsAndNamesExactlyItsTensors) {
  const Watched watched = WatchedState();
  std::string file = FileOf(watched.state);
  const Records records = RecordsOf(file);
  std::mt19937 random(2);
  for (int flip = 0; flip < 100; ++flip) {
    const std::string record =
        std::string("data/").append(std::to_string(random() % 40));
    const auto& item = *std::ranges::find(records.items, "archive/" + record,
                                          &Records::Item::name);
    const size_t at = item.offset + random() % item.content.size();
    const char bit = static_cast<char>(1 << random() % 8);
    file[at] ^= bit;
    SCOPED_TRACE(record + " at " + std::to_string(at));
    const VerifyReport report = VerifyBytes(file);
    ASSERT_EQ(report.damage.size(), 1u);
    const Damage& damage = report.damage[0];
    EXPECT_EQ(damage.file, "model.pt");
    EXPECT_EQ(damage.record, record);
    EXPECT_EQ(damage.offset, item.offset);
    EXPECT_THAT(damage.tensors,
                UnorderedElementsAreArray(watched.names.at(record)));
    EXPECT_THAT(damage.problem, AllOf(HasSubstr("crc32"), HasSubstr("found"),
                                      Not(HasSubstr("model.pt"))));
    EXPECT_EQ(report.checked, records.items.size() - 1);
    EXPECT_THAT(report.unchecked, IsEmpty());
    file[at] ^= bit;
  }
  EXPECT_TRUE(VerifyBytes(file).ok());
}

// Records are read in blocks of 256 KiB.
TEST(Verify, FindsDamageAtTheEdgesOfBlocks) {
  constexpr size_t kBlock = size_t{256} << 10;
  State state;
  state["t"] = RandomTensor(DType::kUInt8, {2 * kBlock + 3}, 1);
  std::string file = FileOf(state);
  const uint64_t offset = RecordsOf(file)["data/0"].offset;
  for (const size_t at : {size_t{0}, kBlock - 1, kBlock, 2 * kBlock - 1,
                          2 * kBlock, 2 * kBlock + 2}) {
    file[offset + at] ^= 1;
    EXPECT_EQ(VerifyBytes(file).damage.size(), 1u) << at;
    file[offset + at] ^= 1;
  }
}

TEST(Verify, ReportsEveryDamagedRecord) {
  std::string file = FileOf(WatchedState().state);
  Records records = RecordsOf(file);
  std::set<std::string> expected;
  for (const char* record : {"data/0", "data/7", "data/39", ".format_version",
                             ".data/serialization_id"}) {
    file[records[record].offset] ^= 0x20;
    expected.insert(record);
  }
  const VerifyReport report = VerifyBytes(file);
  std::set<std::string> found;
  for (const Damage& damage : report.damage) {
    found.insert(damage.record);
    EXPECT_EQ(damage.tensors.empty(), !damage.record.starts_with("data/"));
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(report.checked, records.items.size() - expected.size());
  EXPECT_FALSE(report.ok());
}

// Without what Open must understand there is no list of tensors to verify.
TEST(Verify, OpenNamesADamagedIndexRecord) {
  const std::string file = FileOf(WatchedState().state);
  Records records = RecordsOf(file);
  for (const char* record :
       {"data.pkl", "version", "byteorder", ".storage_alignment"}) {
    const auto& item = records[record];
    for (size_t at = 0; at < item.content.size(); ++at) {
      std::string damaged = file;
      damaged[item.offset + at] ^= 1;
      ASSERT_THAT(OpenBytes(damaged).status(),
                  StatusIs(StatusCode::kCorrupt,
                           AllOf(HasSubstr("model.pt"),
                                 HasSubstr("'" + std::string(record) + "' at " +
                                           std::to_string(item.offset)),
                                 HasSubstr("crc32"))))
          << at;
    }
  }
}

// Every other byte of the file is either checked when it is opened, or holds
// nothing: the padding of a record, and fields that no reader takes.
TEST(Verify, NoFlippedBitChangesWhatIsReadUnseen) {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {5}, 1);
  state["b"] = RandomTensor(DType::kInt16, {3}, 2);
  const std::string file = FileOf(state);
  for (size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = file;
      damaged[at] ^= static_cast<char>(1 << bit);
      const Result<Reader> reader = OpenBytes(damaged);
      if (!reader.has_value()) continue;
      const Result<VerifyReport> report = reader->Verify();
      CAISSON_ASSERT_OK(report);
      if (!report->ok() || !report->unchecked.empty()) continue;
      for (const char* name : {"a", "b"}) {
        ASSERT_THAT(
            ReadNamed(*reader, name),
            IsOkAndHolds(PlainGather(*state.root.Find(name)->As<TensorView>())))
            << at << " bit " << bit;
      }
    }
  }
}

TEST(Verify, CountsWhatHasNoCrcAsUncheckedAndNotAsGood) {
  WriteOptions options;
  options.profile = Profile();
  options.profile->crc32 = false;
  State state = WatchedState().state;
  state["empty"] = RandomTensor(DType::kInt8, {0}, 1);
  std::string file = FileOf(state, options);
  const Records records = RecordsOf(file);
  const VerifyReport report = VerifyBytes(file);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.checked, 1u);  // the empty one: there is nothing to damage
  EXPECT_EQ(report.unchecked.size(), records.items.size() - 1);
  EXPECT_THAT(report.unchecked, testing::Contains("data/0"));
  EXPECT_THAT(report.unchecked, testing::Contains("data.pkl"));
  file[records.items[5].offset] ^= 1;  // cannot be seen
  EXPECT_TRUE(VerifyBytes(file).ok());
}

TEST(Verify, SaysWhichRecordAmongOthersHasNoCrc) {
  State state;
  state["a"] = RandomTensor(DType::kInt32, {5}, 1);
  state["b"] = RandomTensor(DType::kInt32, {5}, 2);
  const Records records = RecordsOf(FileOf(state));
  ZipBuilder zip;
  for (const auto& item : records.items) {
    ZipEntry& entry = zip.Add(item.name, item.content);
    if (item.name == "archive/data/1") entry.crc32 = 0;
  }
  const VerifyReport report = VerifyBytes(zip.Build());
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.unchecked, ElementsAre("data/1"));
  EXPECT_EQ(report.checked, records.items.size() - 1);
}

TEST(Verify, ChecksRecordsThatNobodyRefersTo) {
  State state;
  state["t"] = RandomTensor(DType::kUInt8, {10}, 1);
  Records records = RecordsOf(FileOf(state));
  ZipBuilder zip = Rebuilt(records);
  zip.Add("archive/data/77", "an orphan");
  zip.AddDeflated("archive/extra/notes.txt", "deflated notes");
  zip.Add("archive/empty", "");
  const std::string file = zip.Build();
  EXPECT_EQ(VerifyBytes(file).checked, records.items.size() + 3);
  for (const char* text : {"an orphan", "deflated notes"}) {
    std::string damaged = file;
    damaged[file.find(text)] ^= 1;
    const VerifyReport report = VerifyBytes(damaged);
    ASSERT_EQ(report.damage.size(), 1u);
    EXPECT_EQ(report.damage[0].record,
              *text == 'a' ? "data/77" : "extra/notes.txt");
    EXPECT_THAT(report.damage[0].tensors, IsEmpty());
  }
}

// A storage that the pickle names and its tree drops again.
TEST(Verify, ChecksAStorageThatNoTensorViews) {
  const TensorView tensor = RandomTensor(DType::kUInt8, {10}, 1);
  State state;
  state["handle"] = tensor.storage;
  std::string file = FileOf(state);
  file[RecordsOf(file)["data/0"].offset] ^= 1;
  const VerifyReport report = VerifyBytes(file);
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(report.damage[0].record, "data/0");
  EXPECT_THAT(report.damage[0].tensors, IsEmpty());
}

TEST(Verify, FindsDamageInDeflatedRecords) {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {500}, 1);
  state["b"] = ViewOf(*state["a"].As<TensorView>(), {3}, {1}, 7);
  state["c"] = RandomTensor(DType::kFloat32, {20}, 2);
  ZipBuilder zip;
  for (const auto& item : RecordsOf(FileOf(state)).items) {
    zip.AddDeflated(item.name, item.content);
  }
  const std::string file = zip.Build();
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader sound, OpenBytes(file));
  const TensorInfo a = **sound.Find("a");
  EXPECT_EQ(a.stored_bytes, 5 + 2000u);  // one block without compression
  for (uint64_t at = 0; at < a.stored_bytes; ++at) {
    std::string damaged = file;
    damaged[a.offset + at] ^= 4;
    const VerifyReport report = VerifyBytes(damaged);
    ASSERT_EQ(report.damage.size(), 1u) << at;
    EXPECT_EQ(report.damage[0].record, a.record);
    EXPECT_EQ(report.damage[0].offset, a.offset);
    EXPECT_THAT(report.damage[0].tensors, UnorderedElementsAre("a", "b"));
    EXPECT_THAT(report.damage[0].problem,
                HasSubstr(at < 5 ? "deflate" : "crc32"));
  }
}

TEST(Verify, ReadsABigEndianFileAsItLies) {
  State state;
  state["t"] = RandomTensor(DType::kFloat64, {70000}, 1);
  Records records = RecordsOf(FileOf(state));
  records["byteorder"].content = "big";
  std::string file = Rebuilt(records).Build();
  EXPECT_TRUE(VerifyBytes(file).ok());
  file[RecordsOf(file)["data/0"].offset + 280000] ^= 1;
  EXPECT_THAT(VerifyBytes(file).damage.size(), 1u);
}

TEST(Verify, GivesOffsetsFromTheStartOfAnEmbeddedFile) {
  State state;
  state["t"] = RandomTensor(DType::kUInt8, {10}, 1);
  std::string file = FileOf(state);
  const uint64_t offset = RecordsOf(file)["data/0"].offset;
  file[offset] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Reader reader,
      OpenBytes(std::string(100, '-') + file, {.start = 100}));
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(report.damage[0].offset, offset);
}

}  // namespace
}  // namespace caisson
