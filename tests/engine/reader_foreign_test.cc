// SPDX-License-Identifier: Apache-2.0
//
// Reader on files that torch.save on this machine would not have written: big-
// endian ones, and those with deflated records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// The file that a big-endian machine writes for `state`: typed storages have
// their elements swapped, by component if they are complex.
std::string BigEndian(const State& state, ZipBuilder* zip = nullptr) {
  Records records = RecordsOf(FileOf(state));
  records["byteorder"].content = "big";
  const Reader reader = *OpenBytes(FileOf(state));
  std::vector<std::string> swapped;
  for (const TensorInfo& info : reader.tensors()) {
    if (!info.view.storage->dtype) continue;
    if (std::ranges::find(swapped, info.record) != swapped.end()) continue;
    swapped.push_back(info.record);
    std::string& content = records[info.record].content;
    content = Swapped(content, SwapWidth(*info.view.storage->dtype));
  }
  if (zip != nullptr) {
    for (const auto& item : records.items)
      zip->AddDeflated(item.name, item.content);
    return {};
  }
  return Rebuilt(records).Build();
}

// Every tensor of `reader` and some blocks of it against those of `state`.
void ExpectEqual(const Reader& reader, const State& state) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto expected, state.Tensors());
  ASSERT_EQ(reader.tensors().size(), expected.size());
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, reader.Load());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, loaded.Tensors());
  for (size_t i = 0; i < expected.size(); ++i) {
    const TensorView& view = *expected[i].view;
    const TensorInfo* info = &reader.tensors()[i];
    SCOPED_TRACE(info->view.spec.name);
    const ByteVector elements = PlainGather(view);
    const auto whole = ReadBlock(reader, info);
    CAISSON_ASSERT_OK(whole);
    EXPECT_TRUE(*whole == elements);
    EXPECT_TRUE(PlainGather(*tensors[i].view) == elements);
    std::vector<Range> block;
    for (const int64_t size : view.spec.shape) {
      block.push_back({size / 3, size - size / 4});
    }
    if (block.empty()) continue;
    const auto part = ReadBlock(reader, info, block);
    CAISSON_ASSERT_OK(part);
    EXPECT_TRUE(*part == PlainGather(BytesOf(*view.storage), view, block));
  }
}

// Big-endian files.

TEST(ReaderBigEndian, SwapsEveryTypedDTypeAndNoUntypedOne) {
  State state;
  for (const DType dtype : AllDTypes()) {
    if (ByteWidth(dtype) == 0) continue;
    const TensorView base = RandomTensor(dtype, {13, 11}, 1);
    List views;
    views.items = {base, ViewOf(base, {11, 13}, {1, 11}),
                   ViewOf(base, {5, 4}, {22, 2}, 3), ViewOf(base, {}, {}, 142),
                   ViewOf(base, {2, 3}, {0, 1}, 50)};
    state[Name(dtype)] = std::move(views);
  }
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(BigEndian(state)));
  ExpectEqual(reader, state);
}

TEST(ReaderBigEndian, SwapsDeflatedRecords) {
  State state;
  state["half"] = RandomTensor(DType::kFloat16, {9, 5}, 1);
  state["double"] = RandomTensor(DType::kFloat64, {300, 500}, 2);
  const TensorView complex = RandomTensor(DType::kComplex128, {1001}, 3);
  state["complex"] = ViewOf(complex, {10, 50}, {100, 2}, 1);
  state["untyped"] = RandomTensor(DType::kUInt32, {7}, 4);
  ZipBuilder zip;
  BigEndian(state, &zip);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(zip.Build()));
  ExpectEqual(reader, state);
}

// Records are read and swapped in blocks of 256 KiB.
TEST(ReaderBigEndian, SwapsAcrossTheEdgesOfBlocks) {
  for (const DType dtype : {DType::kFloat16, DType::kInt32, DType::kFloat64,
                            DType::kComplex64, DType::kComplex128}) {
    State state;
    const auto width = static_cast<int64_t>(ByteWidth(dtype));
    const int64_t block = (int64_t{256} << 10) / width;
    for (const int64_t elems : {block - 1, block, block + 1, 2 * block + 7}) {
      const TensorView base = RandomTensor(dtype, {elems}, 1);
      state[std::to_string(elems)] = base;
      state["tail" + std::to_string(elems)] = ViewOf(base, {elems - 3}, {1}, 3);
    }
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                                 OpenBytes(BigEndian(state)));
    ExpectEqual(reader, state);
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
    EXPECT_TRUE(report.ok());
    EXPECT_TRUE(report.unchecked.empty());
  }
}

// A view of another dtype than its storage's may cut the storage's elements.
// torch.load swaps the storage, whatever the view.
TEST(ReaderBigEndian, SwapsByTheStoragesDTypeUnderAViewOfAnother) {
  const TensorView base = RandomTensor(DType::kComplex128, {40}, 1);
  State state;
  state["t"] = base;
  Records records = RecordsOf(FileOf(state));
  // torch._utils._rebuild_tensor_v3 with a dtype over a typed storage.
  State untyped;
  untyped["t"] = RandomTensor(DType::kFloat8E5M2, {640}, 1);
  Records other = RecordsOf(FileOf(untyped));
  std::string pickle = other["data.pkl"].content;
  const std::string cls = "ctorch.storage\nUntypedStorage\n";
  const size_t at = pickle.find(cls);
  ASSERT_NE(at, std::string::npos);
  pickle.replace(at, cls.size(), "ctorch\nComplexDoubleStorage\n");
  const std::string numel = "M\x80\x02";  // BININT2 640, of the persistent id
  const size_t count = pickle.find(numel);
  ASSERT_NE(count, std::string::npos);
  pickle.replace(count, 3, "K\x28");  // BININT1 40
  other["data.pkl"].content = pickle;
  other["byteorder"].content = "big";
  std::string& content = other["data/0"].content;
  content = Swapped(records["data/0"].content, 8);

  for (const bool deflated : {false, true}) {
    ZipBuilder zip;
    for (const auto& item : other.items) {
      deflated ? zip.AddDeflated(item.name, item.content)
               : zip.Add(item.name, item.content);
    }
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(zip.Build()));
    const ByteVector native = PlainGather(base);
    EXPECT_THAT(ReadNamed(reader, "t"), IsOkAndHolds(native));
    for (int64_t begin = 0; begin < 40; ++begin) {
      for (int64_t end = begin; end < 40; ++end) {
        ASSERT_THAT(ReadBlock(reader, &reader.tensors()[0], {{begin, end}}),
                    IsOkAndHolds(ByteVector(native.begin() + begin,
                                            native.begin() + end)));
      }
    }
  }
}

TEST(ReaderBigEndian, RefusesAnyThirdOrder) {
  State state;
  state["t"] = RandomTensor(DType::kInt16, {2}, 1);
  for (const char* order : {"middle", "Big", "big\n", "", "littl"}) {
    Records records = RecordsOf(FileOf(state));
    records["byteorder"].content = order;
    EXPECT_THAT(OpenBytes(Rebuilt(records).Build()).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("byteorder")))
        << order;
  }
  Records records = RecordsOf(FileOf(state));
  std::erase_if(records.items, [](const Records::Item& item) {
    return item.name == "archive/byteorder";
  });
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(Rebuilt(records).Build()));
  ExpectEqual(reader, state);
}

// Deflated files.

// One raw DEFLATE stream as zlib makes it.
std::string Deflated(const std::string& content, int level) {
  z_stream stream = {};
  if (deflateInit2(&stream, level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    std::abort();
  }
  // zlib 1.2.13's own bound is too small for some levels.
  std::string stored(deflateBound(&stream, content.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(stored.data());
  stream.avail_out = static_cast<uInt>(stored.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  stored.resize(stream.total_out);
  deflateEnd(&stream);
  return stored;
}

// `state` with each record deflated, as Python's zipfile packs it.
ZipBuilder DeflatedArchive(const State& state, int level = 6) {
  ZipBuilder zip(ZipStyle::kPython);
  for (const auto& item : RecordsOf(FileOf(state)).items) {
    ZipEntry& entry = zip.Add(item.name, item.content);
    entry.content = Deflated(item.content, level);
    entry.method = zip::kMethodDeflate;
  }
  return zip;
}

// Tensors that compress, views of each kind, and an empty one.
State CompressibleState() {
  State state;
  TensorView base = RandomTensor(DType::kFloat32, {300, 400}, 1);
  for (size_t i = 0; i < base.storage->region.bytes; ++i) {
    if (i % 4 < 3) base.storage->region.data[i] = std::byte{0};
  }
  state["dense"] = base;
  state["transposed"] = ViewOf(base, {400, 300}, {1, 400});
  state["corner"] = ViewOf(base, {20, 30}, {400, 1}, 12345);
  state["column"] = ViewOf(base, {300}, {400}, 17);
  state["empty"] = RandomTensor(DType::kInt8, {0}, 1);
  state["one"] = RandomTensor(DType::kInt8, {1}, 1);
  return state;
}

TEST(ReaderDeflate, ReadsTensorsBlocksAndStates) {
  const State state = CompressibleState();
  for (const int level : {0, 1, 6, 9}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const Reader reader, OpenBytes(DeflatedArchive(state, level).Build()));
    const TensorInfo& dense = **reader.Find("dense");
    EXPECT_EQ(dense.compression, Compression::kDeflate);
    EXPECT_EQ(level > 0, dense.stored_bytes < 480000);
    ExpectEqual(reader, state);
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
    EXPECT_TRUE(report.ok());
    EXPECT_EQ(report.checked, RecordsOf(FileOf(state)).items.size());
  }
}

// A part takes decoding the whole, which is then checked.
TEST(ReaderDeflate, ChecksAndCountsTheWholeRecordForAnyPart) {
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Reader reader,
      OpenBytes(DeflatedArchive(CompressibleState()).Build()));
  for (const char* name : {"dense", "transposed", "corner", "column"}) {
    const TensorInfo* info = *reader.Find(name);
    Block block(info, {});
    const ReadRequest request = block.Request();
    CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report,
                                 reader.Read(std::span(&request, 1)));
    EXPECT_THAT(report.checked, ElementsAre(true)) << name;
    EXPECT_EQ(report.bytes_read, info->stored_bytes) << name;
  }
}

TEST(ReaderDeflate, FindsDamageInAnyPart) {
  std::string file = DeflatedArchive(CompressibleState()).Build();
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader sound, OpenBytes(file));
  const TensorInfo dense = **sound.Find("dense");
  for (uint64_t at = 0; at < dense.stored_bytes;
       at += dense.stored_bytes / 50 + 1) {
    file[dense.offset + at] ^= 1;
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
    const auto names_it =
        StatusIs(StatusCode::kCorrupt,
                 AllOf(HasSubstr("'data/0'"),
                       HasSubstr("at " + std::to_string(dense.offset))));
    EXPECT_THAT(ReadNamed(reader, "dense"), names_it) << at;
    EXPECT_THAT(ReadNamed(reader, "corner"), names_it) << at;
    EXPECT_THAT(reader.Load().status(), names_it) << at;
    CAISSON_EXPECT_OK(ReadNamed(reader, "one"));
    file[dense.offset + at] ^= 1;
  }
}

TEST(ReaderDeflate, RefusesARecordOfAnotherSize) {
  State state;
  state["t"] = RandomTensor(DType::kUInt8, {1000}, 1);
  for (const int difference : {-1, 1}) {
    Records records = RecordsOf(FileOf(state));
    std::string& content = records["data/0"].content;
    content.resize(content.size() + static_cast<size_t>(difference));
    // The zip says 1000 and the stream holds one more or less.
    ZipBuilder zip = Rebuilt(records);
    ZipBuilder lying(ZipStyle::kPython);
    for (const auto& item : records.items) {
      ZipEntry& entry = lying.Add(item.name, item.content);
      if (item.name != "archive/data/0") continue;
      entry.content = Deflated(item.content, 6);
      entry.method = zip::kMethodDeflate;
      entry.bytes = 1000;
    }
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(lying.Build()));
    EXPECT_THAT(ReadNamed(reader, "t"),
                StatusIs(StatusCode::kCorrupt, HasSubstr("expected 1000")));
    // The zip is right, and the pickle says 1000: refused at once.
    EXPECT_THAT(OpenBytes(zip.Build()).status(),
                StatusIs(StatusCode::kCorrupt,
                         AllOf(HasSubstr("'data/0'"), HasSubstr("1000"))));
  }
}

}  // namespace
}  // namespace caisson
