// SPDX-License-Identifier: Apache-2.0
//
// VerifyFile: what is said of a file that no Reader opens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

State SmallState() {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {50}, 1);
  state["b"] = RandomTensor(DType::kInt16, {30}, 2);
  return state;
}

Result<VerifyReport> VerifyContent(const std::string& content) {
  const ScratchDirectory scratch;
  Put(scratch / "model.pt", content);
  return VerifyFile(scratch / "model.pt");
}

std::vector<std::string> RecordsIn(const VerifyReport& report) {
  std::vector<std::string> records;
  for (const Damage& damage : report.damage) records.push_back(damage.record);
  return records;
}

TEST(VerifyFile, SaysOfAReadableFileWhatItsReaderSays) {
  std::string file = FileOf(SmallState());
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport sound, VerifyContent(file));
  EXPECT_TRUE(sound.ok());
  EXPECT_EQ(sound.checked, RecordsOf(file).items.size());
  EXPECT_EQ(sound.unread, "");
  file[RecordsOf(file)["data/1"].offset] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyContent(file));
  ASSERT_THAT(RecordsIn(report), ElementsAre("data/1"));
  EXPECT_THAT(report.damage[0].tensors, ElementsAre("b"));
  EXPECT_THAT(report.damage[0].file, HasSubstr("model.pt"));
}

TEST(VerifyFile, NamesADamagedIndexRecordAndEveryOtherDamage) {
  const std::string sound = FileOf(SmallState());
  Records records = RecordsOf(sound);
  for (const char* record :
       {"data.pkl", "version", "byteorder", ".storage_alignment"}) {
    std::string file = sound;
    file[records[record].offset] ^= 1;
    file[records["data/0"].offset] ^= 1;
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report,
                                 VerifyContent(file));
    EXPECT_FALSE(report.ok());
    EXPECT_THAT(RecordsIn(report), UnorderedElementsAre(record, "data/0"));
    EXPECT_THAT(report.unread, HasSubstr(record));
    EXPECT_EQ(report.checked, records.items.size() - 2);
    for (const Damage& damage : report.damage) {
      EXPECT_EQ(damage.offset, records[damage.record].offset);
      EXPECT_THAT(damage.tensors, IsEmpty());
    }
  }
}

TEST(VerifyFile, CallsRecordsThatAreSoundAndMakeNoStateDamage) {
  Records records = RecordsOf(FileOf(SmallState()));
  records["data.pkl"].content = "\x80\x02}";
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report,
                               VerifyContent(Rebuilt(records).Build()));
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_THAT(report.damage[0].problem, HasSubstr("data.pkl"));
  EXPECT_EQ(report.checked, records.items.size());
}

TEST(VerifyFile, CallsADamagedDirectoryTheOneDamage) {
  std::string file = FileOf(SmallState());
  file[file.rfind("PK\x01\x02")] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyContent(file));
  ASSERT_THAT(RecordsIn(report), ElementsAre(""));
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.checked, 0u);
  const std::string cut = FileOf(SmallState());
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport end,
                               VerifyContent(cut.substr(0, cut.size() - 30)));
  EXPECT_THAT(RecordsIn(end), ElementsAre(""));
}

TEST(VerifyFile, ChecksTheRecordsOfAStateThatIsNotSupported) {
  Records records = RecordsOf(FileOf(SmallState()));
  ZipBuilder zip = Rebuilt(records);
  zip.Add("archive/constants.pkl", "a script");
  std::string file = zip.Build();
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport sound, VerifyContent(file));
  EXPECT_TRUE(sound.ok());
  EXPECT_THAT(sound.unread, HasSubstr("TorchScript"));
  EXPECT_EQ(sound.checked, records.items.size() + 1);
  file[file.find("a script")] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyContent(file));
  EXPECT_THAT(RecordsIn(report), ElementsAre("constants.pkl"));
}

TEST(VerifyFile, RefusesWhatIsNoArchiveAndWhatIsNotThere) {
  EXPECT_THAT(VerifyContent("\x89HDF\r\n\x1a\n and more").status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("HDF5")));
  EXPECT_FALSE(VerifyContent("").has_value());
  EXPECT_THAT(VerifyFile("/does/not/exist.pt").status(),
              StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace caisson
