// SPDX-License-Identifier: Apache-2.0
//
// Reader: where a file may come from, and what can be asked without reading a
// tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "caisson/crc32.h"
#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// What many sources look like at once: returns 1 to 7 bytes and never more.
class DribblingAdapter : public ReadAdapter {
 public:
  explicit DribblingAdapter(std::string bytes) : bytes_(std::move(bytes)) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return bytes_.size(); }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    if (offset >= bytes_.size()) return size_t{0};
    const size_t most = std::min(dst.size(), 1 + offset % 7);
    const size_t got = std::min<size_t>(most, bytes_.size() - offset);
    std::memcpy(dst.data(), &bytes_[offset], got);
    return got;
  }

 private:
  const std::string name_ = "dribble";
  const std::string bytes_;
};

// Answers kIo for every read that touches [begin, end).
class BadSectorAdapter : public CountingAdapter {
 public:
  BadSectorAdapter(std::shared_ptr<const ReadAdapter> inner, uint64_t begin,
                   uint64_t end)
      : CountingAdapter(std::move(inner)), begin_(begin), end_(end) {}

  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    if (offset < end_ && begin_ < offset + dst.size()) {
      return Status::Io("bad sector");
    }
    return CountingAdapter::Read(offset, dst);
  }

 private:
  const uint64_t begin_, end_;
};

State SmallState() {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {5, 7}, 1);
  state["b"]["c"] = RandomTensor(DType::kInt64, {3}, 2);
  state["step"] = 7;
  return state;
}

void ExpectSmallState(const Reader& reader) {
  EXPECT_EQ(reader.format(), "pytorch");
  EXPECT_THAT(
      ReadNamed(reader, "a"),
      IsOkAndHolds(PlainGather(RandomTensor(DType::kFloat32, {5, 7}, 1))));
  EXPECT_THAT(ReadNamed(reader, "b.c"),
              IsOkAndHolds(PlainGather(RandomTensor(DType::kInt64, {3}, 2))));
  const Node* step = reader.state().root.Find("step");
  ASSERT_NE(step, nullptr);
  EXPECT_EQ(*step->As<Integer>(), Integer(7));
}

// Sources.

TEST(ReaderOpen, TakesAPath) {
  const ScratchDirectory scratch;
  Put(scratch / "no suffix at all", FileOf(SmallState()));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(scratch / "no suffix at all"));
  ExpectSmallState(reader);
}

TEST(ReaderOpen, TakesEveryAdapter) {
  const std::string file = FileOf(SmallState());
  const ScratchDirectory scratch;
  Put(scratch / "f", file);
  CAISSON_ASSERT_OK_AND_ASSIGN(const std::shared_ptr<FileAdapter> on_disk,
                               FileAdapter::Open(scratch / "f"));
  std::istringstream text(file);
  CAISSON_ASSERT_OK_AND_ASSIGN(const std::shared_ptr<IStreamAdapter> stream,
                               IStreamAdapter::Open(&text));
  std::vector<std::shared_ptr<const ReadAdapter>> adapters = {
      on_disk, stream, InMemory(file),
      std::make_shared<DribblingAdapter>(file)};
  for (const auto& adapter : adapters) {
    SCOPED_TRACE(adapter->name());
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(adapter));
    EXPECT_EQ(reader.file_bytes(), file.size());
    ExpectSmallState(reader);
  }
}

TEST(ReaderOpen, KeepsTheAdapterAliveAndSurvivesBeingMoved) {
  Result<Reader> opened = OpenBytes(FileOf(SmallState()));
  CAISSON_ASSERT_OK(opened);
  const TensorInfo* before = opened->tensors().data();
  Reader moved = *std::move(opened);
  EXPECT_EQ(moved.tensors().data(), before);
  ExpectSmallState(moved);
}

TEST(ReaderOpen, ReadsAFileEmbeddedAtAnOffset) {
  const std::string file = FileOf(SmallState());
  for (const size_t junk : {size_t{1}, size_t{63}, size_t{4096}}) {
    const std::string embedded = std::string(junk, 'j') + file;
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                                 OpenBytes(embedded, {.start = junk}));
    EXPECT_EQ(reader.file_bytes(), file.size());
    EXPECT_EQ(reader.tensors()[0].offset, RecordsOf(file)["data/0"].offset);
    ExpectSmallState(reader);
    EXPECT_THAT(OpenBytes(embedded).status(),
                StatusIs(StatusCode::kUnsupported,
                         AllOf(HasSubstr("model.pt"), Not(HasSubstr("j")))))
        << junk;
  }
}

TEST(ReaderOpen, RefusesAStartThatIsNotTheStart) {
  const std::string file = FileOf(SmallState());
  for (const uint64_t start : {uint64_t{1}, uint64_t{4}, file.size() - 22}) {
    EXPECT_FALSE(OpenBytes(file, {.start = start}).has_value()) << start;
  }
  EXPECT_FALSE(OpenBytes(file, {.start = file.size()}).has_value());
  for (const uint64_t start : {file.size() + 1, UINT64_MAX}) {
    EXPECT_THAT(OpenBytes(file, {.start = start}).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("past")));
  }
}

TEST(ReaderOpen, RefusesWhatIsNotThere) {
  EXPECT_THAT(Reader::Open("/does/not/exist.pt").status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("exist.pt")));
  EXPECT_THAT(Reader::Open(testing::TempDir()).status(),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Reader::Open(std::shared_ptr<const ReadAdapter>()).status(),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(ReaderOpen, AnyPrefixOfAFileIsRefused) {
  const std::string file = FileOf(SmallState());
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    const Status status = OpenBytes(file.substr(0, bytes)).status();
    ASSERT_FALSE(status.ok()) << bytes;
    ASSERT_THAT(status.message(), HasSubstr("model.pt")) << bytes;
  }
}

TEST(ReaderOpen, HandsOnTheAdaptersError) {
  const std::string file = FileOf(SmallState());
  const uint64_t pickle = RecordsOf(file)["data.pkl"].offset;
  for (const uint64_t bad : {uint64_t{0}, pickle, file.size() - 1}) {
    EXPECT_THAT(Reader::Open(std::make_shared<BadSectorAdapter>(InMemory(file),
                                                                bad, bad + 1))
                    .status(),
                StatusIs(StatusCode::kIo, HasSubstr("bad sector")))
        << bad;
  }
}

TEST(ReaderOpen, ABadSectorInOneTensorSparesTheOthers) {
  State state = SmallState();
  state["big"] = RandomTensor(DType::kUInt8, {1 << 20}, 3);
  state["last"] = RandomTensor(DType::kUInt8, {100}, 4);
  const std::string file = FileOf(state);
  const uint64_t bad = RecordsOf(file)["data/2"].offset + (1 << 19);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(std::make_shared<BadSectorAdapter>(
                                   InMemory(file), bad, bad + 1)));
  ExpectSmallState(reader);
  CAISSON_EXPECT_OK(ReadNamed(reader, "last"));
  EXPECT_THAT(ReadNamed(reader, "big"), StatusIs(StatusCode::kIo));
  EXPECT_THAT(reader.Load().status(), StatusIs(StatusCode::kIo));
  EXPECT_THAT(reader.Verify().status(), StatusIs(StatusCode::kIo));
}

TEST(ReaderOpen, AFileThatIsCutLaterIsAnError) {
  const ScratchDirectory scratch;
  State state = SmallState();
  state["big"] = RandomTensor(DType::kUInt8, {1 << 20}, 3);
  Put(scratch / "f", FileOf(state));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(scratch / "f"));
  std::filesystem::resize_file(scratch / "f", 1 << 19);
  const auto cut =
      StatusIs(StatusCode::kCorrupt,
               AllOf(HasSubstr("'data/2'"), HasSubstr("ended early")));
  EXPECT_THAT(ReadNamed(reader, "big"), cut);
  EXPECT_THAT(reader.Load().status(), cut);
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
  EXPECT_FALSE(report.ok());
  ExpectSmallState(reader);
}

// The list.

TEST(ReaderList, ReadsNoPayload) {
  State state;
  for (int i = 0; i < 100; ++i) {
    state["t"][std::to_string(i)] = RandomTensor(DType::kUInt8, {256 << 10}, 1);
  }
  const auto counted =
      std::make_shared<CountingAdapter>(InMemory(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  EXPECT_EQ(reader.tensors().size(), 100u);
  CAISSON_EXPECT_OK(reader.Find("t.99"));
  CAISSON_EXPECT_OK(reader.state().Tensors());
  // The index: two headers for each record, the pickle, the end.
  EXPECT_LT(counted->bytes, uint64_t{1} << 20);
  EXPECT_LT(counted->reads, 400u);
}

TEST(ReaderList, SaysWhereEachTensorLies) {
  State state;
  const TensorView base = RandomTensor(DType::kInt16, {4, 6}, 1);
  state["all"] = base;
  state["column"] = ViewOf(base, {4}, {6}, 5);
  state["none"] = RandomTensor(DType::kFloat64, {0, 3}, 2);
  const std::string file = FileOf(state);
  Records records = RecordsOf(file);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  ASSERT_EQ(reader.tensors().size(), 3u);
  for (const TensorInfo& info : reader.tensors()) {
    Records::Item& record = records[info.record];
    EXPECT_EQ(info.offset, record.offset);
    EXPECT_EQ(info.stored_bytes, record.content.size());
    EXPECT_EQ(info.compression, Compression::kNone);
    EXPECT_EQ(info.crc32, Crc32(0, AsBytes(record.content)));
    EXPECT_FALSE(info.view.storage->region.data);
    EXPECT_EQ(Join(info.path), info.view.spec.name);
  }
  const TensorInfo& column = reader.tensors()[1];
  EXPECT_EQ(column.view.spec.name, "column");
  EXPECT_EQ(column.record, "data/0");
  EXPECT_THAT(column.view.spec.shape, ElementsAre(4));
  EXPECT_THAT(column.view.strides, ElementsAre(6));
  EXPECT_EQ(column.view.offset, 5u);
  EXPECT_EQ(column.view.storage, reader.tensors()[0].view.storage);
}

TEST(ReaderList, KeepsTheOrderOfAppearance) {
  State state;
  std::vector<std::string> expected;
  for (const char* name : {"z", "a", "10", "9", ""}) {
    state[name] = RandomTensor(DType::kUInt8, {1}, 1);
    expected.push_back(name);
  }
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  std::vector<std::string> found;
  for (const TensorInfo& info : reader.tensors()) {
    found.push_back(info.view.spec.name);
  }
  EXPECT_EQ(found, expected);
}

TEST(ReaderFind, NamesWhatIsMissing) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(FileOf(SmallState())));
  for (const char* name : {"", "b", "b.", "b.c.d", "A", "step"}) {
    EXPECT_THAT(reader.Find(name).status(),
                StatusIs(StatusCode::kNotFound,
                         AllOf(HasSubstr("model.pt"),
                               HasSubstr(std::string(name) + "'"))));
  }
}

TEST(ReaderFind, NamesBothPathsOfAnAmbiguousName) {
  State state;
  state["a"]["b"]["c"] = RandomTensor(DType::kUInt8, {1}, 1);
  state["a.b"]["c"] = RandomTensor(DType::kUInt8, {2}, 2);
  state["list"] = List{{RandomTensor(DType::kUInt8, {3}, 3)}};
  Dict dict;
  CAISSON_ASSERT_OK(dict.Set(0, RandomTensor(DType::kUInt8, {4}, 4)));
  CAISSON_ASSERT_OK(dict.Set("0", RandomTensor(DType::kUInt8, {5}, 5)));
  state["dict"] = std::move(dict);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  EXPECT_EQ(reader.tensors().size(), 5u);
  EXPECT_THAT(reader.Find("a.b.c").status(),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("[\"a\", \"b\", \"c\"]"),
                             HasSubstr("[\"a.b\", \"c\"]"))));
  EXPECT_THAT(reader.Find("dict.0").status(),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("[\"dict\", 0]"),
                             HasSubstr("[\"dict\", \"0\"]"))));
  CAISSON_EXPECT_OK(reader.Find("list.0"));
}

}  // namespace
}  // namespace caisson
