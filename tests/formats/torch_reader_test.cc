// SPDX-License-Identifier: Apache-2.0
//
// Archives of torch.save as a whole: the small records, the sizes of storages,
// and the profile that is told from them.
#include "core/formats/torch/torch_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/formats/torch/torch_profile.h"
#include "tests/formats/torch_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using std::string_literals::operator""s;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr StatusCode kCorrupt = StatusCode::kCorrupt;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;

// A tensor of two floats over storage "0".
TorchFile SmallFile() {
  TorchFile file;
  file.pickle = Whole(FloatTensor(2));
  file.storages["0"] = std::string(8, '\x3f');
  return file;
}

Status OpenStatus(const TorchFile& file) {
  return OpenBytes(file.Bytes()).status();
}

TEST(TorchReader, ReadsTheSmallestFile) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(SmallFile().Bytes()));
  EXPECT_EQ(reader.format(), "pytorch");
  ASSERT_EQ(reader.tensors().size(), 1u);
  EXPECT_EQ(reader.tensors()[0].record, "data/0");
  EXPECT_EQ(reader.tensors()[0].stored_bytes, 8u);
  EXPECT_FALSE(reader.state().root.As<TensorView>()->storage->resident());
  CAISSON_EXPECT_OK(reader.Load().status());
}

TEST(TorchReader, RefusesAStorageOfAnotherSize) {
  for (const size_t bytes : {0, 7, 9, 4096}) {
    TorchFile file = SmallFile();
    file.storages["0"] = std::string(bytes, 'x');
    EXPECT_THAT(OpenStatus(file),
                StatusIs(kCorrupt,
                         "model.pt: record 'data/0': " + std::to_string(bytes) +
                             " bytes, but the pickle says 8"));
  }
}

TEST(TorchReader, RefusesAStorageThatIsMissing) {
  TorchFile file = SmallFile();
  file.storages.clear();
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kCorrupt, "model.pt: record 'data/0': missing"));
  file.others = {{"plane/0", "x"}};
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kCorrupt, HasSubstr("record 'plane/0'")));
}

// A key is a name to look up, never a path.
TEST(TorchReader, TakesAnyKeyAsAName) {
  for (const char* key : {"../../x", "a/b", "", "0 ", "..", "\xff"}) {
    TorchFile file;
    const bool text = std::string_view(key) != "\xff";
    file.pickle = Whole(TensorV2(StorageId("ByteStorage", key, 1), {1}, {1}));
    file.storages[key] = "x";
    const auto reader = OpenBytes(file.Bytes());
    EXPECT_EQ(reader.has_value(), text) << key;
    if (!reader) continue;
    EXPECT_EQ(reader->tensors()[0].record, "data/" + std::string(key));
  }
}

TEST(TorchReader, RefusesAFileWithoutAPickle) {
  ZipBuilder zip;
  zip.Add("archive/version", "3\n");
  EXPECT_THAT(OpenBytes(zip.Build()),
              StatusIs(kCorrupt, "model.pt: record 'data.pkl': missing"));
}

TEST(TorchReader, RefusesTorchScript) {
  TorchFile file = SmallFile();
  file.others = {{"constants.pkl", "x"}};
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kUnsupported, HasSubstr("a TorchScript archive")));
}

TEST(TorchReader, ReadsTheVersionAsStrtoullWould) {
  const auto with = [](const std::string& version) {
    TorchFile file = SmallFile();
    file.version = version;
    return OpenStatus(file);
  };
  for (const char* good : {"1\n", "3\n", "10\n", "3", " 3abc", "\t\n\v\f\r 7x",
                           "+3", "03", "0000000000000000000000003"}) {
    CAISSON_EXPECT_OK(with(good)) << testing::PrintToString(good);
  }
  for (const std::string& bad :
       {"0"s, "11"s, "100"s, ""s, " "s, "x3"s, "-3"s, "- 3"s, "++3"s, "\n"s,
        "18446744073709551617"s, "99999999999999999999999999"s, "\0003"s}) {
    EXPECT_THAT(with(bad),
                StatusIs(kCorrupt, HasSubstr("model.pt: record 'version': ")))
        << testing::PrintToString(bad);
  }
}

TEST(TorchReader, PrefersTheNewerNameOfTheVersion) {
  TorchFile file = SmallFile();
  file.version = "99\n";
  file.others = {{".data/version", "6\n"}};
  CAISSON_EXPECT_OK(OpenStatus(file));
  file.version = "3\n";
  file.others = {{".data/version", "99\n"}};
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kCorrupt, HasSubstr("record '.data/version'")));
  file.version.reset();
  file.others.clear();
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kCorrupt, "model.pt: record 'version': missing"));
}

TEST(TorchReader, KnowsTwoByteOrders) {
  for (const char* order : {"little", "big"}) {
    TorchFile file = SmallFile();
    file.byteorder = order;
    CAISSON_EXPECT_OK(OpenStatus(file));
  }
  for (const char* order : {"", "middle", "Little", "little\n", "bigger"}) {
    TorchFile file = SmallFile();
    file.byteorder = order;
    EXPECT_THAT(OpenStatus(file),
                StatusIs(kCorrupt, HasSubstr("neither 'little' nor 'big'")))
        << order;
  }
  TorchFile file = SmallFile();
  file.byteorder.reset();
  CAISSON_EXPECT_OK(OpenStatus(file));
}

TEST(TorchReader, ReadsNoLongRecordWhereAShortOneBelongs) {
  TorchFile file = SmallFile();
  file.version = std::string(100000, '3');
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kCorrupt, HasSubstr("100000 bytes, expected a short")));
  file = SmallFile();
  file.byteorder = std::string(100000, 'l');
  EXPECT_THAT(OpenStatus(file), StatusIs(kCorrupt));
}

TEST(TorchReader, NamesTheRecordAndTheOffsetOfABadOpcode) {
  TorchFile file;
  file.pickle = "\x80\x02NI01\n.";
  EXPECT_THAT(
      OpenStatus(file),
      StatusIs(kUnsupported, "model.pt: record 'data.pkl' at 3: opcode 0x49"));
  file.pickle = Whole("N" + Repeated("\x85", 1001));
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kUnsupported, HasSubstr("record 'data.pkl': nested")));
  std::string bomb = FloatTensor(2);
  for (int i = 0; i < 60; ++i) bomb += "2\x86";
  file = SmallFile();
  file.pickle = Whole(bomb);
  EXPECT_THAT(OpenStatus(file),
              StatusIs(kUnsupported, HasSubstr("shared containers unfold")));
}

// The prefix is that of the first entry; every entry must have it.
TEST(TorchReader, WantsOneFolderAroundAll) {
  TorchFile file = SmallFile();
  for (const char* prefix : {"model", "a.b", "x y", "\xc3\xa9"}) {
    file.prefix = prefix;
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file.Bytes()));
    EXPECT_EQ(reader.state().profile.prefix, prefix);
  }
  file.prefix = "a/b";
  EXPECT_THAT(OpenStatus(file), StatusIs(kCorrupt)) << "a/ holds no data.pkl";
}

std::vector<std::string> NamesIn(const Reader& reader) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : reader.tensors()) {
    names.push_back(tensor.view.spec.name);
  }
  return names;
}

TEST(TorchReader, NamesEveryTensorOnEachOfItsPaths) {
  TorchFile file = SmallFile();
  file.pickle = Whole("}" + Put(9) + "(" + Str("a") + FloatTensor(2) + Put(1) +
                      Str("b") + "](" + Get(1) + "N" + Get(1) + "e" + "u");
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file.Bytes()));
  EXPECT_THAT(NamesIn(reader), ElementsAre("a", "b.0", "b.2"));
}

// A tensor of 64 dimensions is a kilobyte for each path that leads to it.
TEST(TorchReader, BoundsTheCopiesOfAManyDimensionalTensor) {
  const std::vector<int64_t> ones(64, 1);
  TorchFile file = SmallFile();
  file.pickle =
      Whole("](" + TensorV2(StorageId("FloatStorage", "0", 2), ones, ones) +
            Put(0) + Repeated(Get(0), 100000) + "e");
  const std::string bytes = file.Bytes();
  const AllocationMeter meter;
  const Status status = OpenBytes(bytes).status();
  EXPECT_LT(meter.PeakBytes(), 200 * bytes.size()) << status.ToString();
}

// A long key above many tensors is a part of each of their names: as far as a
// generous limit on sharing lets it, some 1200 bytes for each of the file.
TEST(TorchReader, BoundsTheNamesUnderALongKey) {
  std::string code = "}" + Str(std::string(1500, 'k')) + "}(";
  code += Int(0) + FloatTensor(2) + Put(0);
  for (int i = 1; i < 20000; ++i) code += Int(i) + Get(0);
  TorchFile file = SmallFile();
  file.pickle = Whole(code + "us");
  const std::string bytes = file.Bytes();
  const AllocationMeter meter;
  const Status status = OpenBytes(bytes).status();
  EXPECT_LT(meter.PeakBytes(), 2000 * bytes.size()) << status.ToString();
}

TEST(TorchReader, BoundsCallsThatCopyAShape) {
  const std::vector<int64_t> ones(64, 1);
  const std::string args = TupleOf(StorageId("FloatStorage", "0", 2) + Int(0) +
                                   Ints(ones) + Ints(ones) + "\x89N");
  TorchFile file = SmallFile();
  file.pickle =
      Whole("](" + args + Put(0) + Class("torch._utils", "_rebuild_tensor_v2") +
            Put(1) + Repeated(Get(1) + Get(0) + "R", 50000) + "e");
  const std::string bytes = file.Bytes();
  const AllocationMeter meter;
  const Status status = OpenBytes(bytes).status();
  EXPECT_LT(meter.PeakBytes(), 200 * bytes.size()) << status.ToString();
}

Profile ProfileOf(const TorchFile& file) {
  const auto reader = OpenBytes(file.Bytes());
  EXPECT_THAT(reader, IsOk());
  return reader ? reader->state().profile : Profile();
}

TEST(TorchProfile, IsToldFromTheRecords) {
  TorchFile file = SmallFile();
  file.others = {{".data/serialization_id", std::string(40, '0')}};
  Profile expected = Profile::Torch2_6();
  expected.prefix = "archive";
  EXPECT_EQ(ProfileOf(file), expected);
  file.others.clear();
  file.byteorder.reset();
  expected = Profile::Torch1_13();
  expected.prefix = "archive";
  EXPECT_EQ(ProfileOf(file), expected);
  file.byteorder = "little";
  file.others = {{".format_version", "1"},
                 {".storage_alignment", "64"},
                 {".data/serialization_id", std::string(40, '0')}};
  expected = Profile::Torch2_7();
  expected.prefix = "archive";
  EXPECT_EQ(ProfileOf(file), expected);
}

TEST(TorchProfile, TakesTheAlignmentFromItsRecord) {
  const auto alignment = [](const std::string& content) {
    TorchFile file = SmallFile();
    file.others = {{".storage_alignment", content}};
    return ProfileOf(file).alignment;
  };
  EXPECT_EQ(alignment("64"), 64u);
  EXPECT_EQ(alignment("1"), 1u);
  EXPECT_EQ(alignment("4096"), 4096u);
  EXPECT_EQ(alignment("32768"), 32768u);
  for (const char* odd :
       {"0", "32769", "-1", "", "x", "99999999999999999999"}) {
    EXPECT_EQ(alignment(odd), 64u) << odd;
  }
}

// Twelve storages in an archive whose records come in the given order.
TorchFile TwelveStorages() {
  TorchFile file;
  std::string code = "](";
  for (int i = 0; i < 12; ++i) {
    const std::string key = std::to_string(i);
    code += TensorV2(StorageId("ByteStorage", key, 1), {1}, {1});
    file.storages[key] = "x";  // a map: in the order of texts
  }
  file.pickle = Whole(code + "e");
  return file;
}

TEST(TorchProfile, TellsTheOrderOfNumbersFromThatOfTexts) {
  TorchFile file = TwelveStorages();
  file.others = {{".format_version", "1"}};
  EXPECT_FALSE(ProfileOf(file).numeric_order);
  // The same in the order of numbers: all but the first come afterwards.
  for (int i = 1; i < 12; ++i) {
    const std::string key = std::to_string(i);
    file.storages.erase(key);
    file.others.emplace_back("data/" + key, "x");
  }
  EXPECT_TRUE(ProfileOf(file).numeric_order);
  file.others.erase(file.others.begin());
  EXPECT_TRUE(ProfileOf(file).numeric_order) << "without .format_version";
}

TEST(TorchProfile, LeavesTheOrderOfFewStoragesToTheNewerRecords) {
  TorchFile file = SmallFile();
  EXPECT_FALSE(ProfileOf(file).numeric_order);
  file.others = {{".format_version", "1"}};
  EXPECT_TRUE(ProfileOf(file).numeric_order);
}

TEST(TorchProfile, TellsWhetherCrcsWereComputed) {
  TorchFile file = SmallFile();
  EXPECT_TRUE(ProfileOf(file).crc32);
  ZipBuilder zip;
  for (const auto& [name, content] :
       {std::pair<std::string, std::string>{"archive/data.pkl", Whole("N")},
        {"archive/version", "3\n"}}) {
    ZipEntry& entry = zip.Add(name, content);
    entry.edit_descriptor = [](DescriptorFields& f) { f.crc32 = 0; };
    entry.edit_central = [](CentralFields& f) { f.crc32 = 0; };
  }
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(zip.Build()));
  EXPECT_FALSE(reader.state().profile.crc32);
}

}  // namespace
}  // namespace caisson::torch
