// SPDX-License-Identifier: Apache-2.0
//
// Reader::Read: tensors and blocks of them against a plain loop over the
// storage, what was checked, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "caisson/crc32.h"
#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Every pair 0 <= begin <= end <= size.
std::vector<Range> RangesOf(int64_t size) {
  std::vector<Range> ranges;
  for (int64_t begin = 0; begin <= size; ++begin) {
    for (int64_t end = begin; end <= size; ++end)
      ranges.push_back({begin, end});
  }
  return ranges;
}

// Calls `check` with every block of `shape`.
template <class Check>
void ForEachBlock(const std::vector<int64_t>& shape, const Check& check,
                  std::vector<Range> block = {}) {
  if (block.size() == shape.size()) return check(block);
  for (const Range range : RangesOf(shape[block.size()])) {
    block.push_back(range);
    ForEachBlock(shape, check, block);
    block.pop_back();
  }
}

TEST(ReaderRead, GivesEveryBlockOfEveryKindOfView) {
  const TensorView base = RandomTensor(DType::kInt32, {2, 3, 4}, 1);
  const TensorView complex = RandomTensor(DType::kComplex128, {3, 5}, 2);
  const TensorView small = RandomTensor(DType::kUInt8, {60}, 3);
  State state;
  state["dense"] = base;
  state["transposed"] = ViewOf(base, {4, 3, 2}, {1, 4, 12});
  state["rotated"] = ViewOf(base, {3, 4, 2}, {4, 1, 12});
  state["strided"] = ViewOf(base, {2, 2}, {12, 2}, 1);
  state["expanded"] = ViewOf(base, {3, 2, 4}, {0, 12, 1}, 4);
  state["offset"] = ViewOf(base, {5}, {1}, 19);
  state["scalar"] = ViewOf(base, {}, {}, 23);
  state["ones"] = ViewOf(base, {1, 1, 1}, {7, 0, 1}, 3);
  state["windows"] = ViewOf(base, {4, 5}, {2, 1}, 2);
  state["empty"] = ViewOf(base, {2, 0, 3}, {3, 3, 1}, 24);
  state["complex"] = ViewOf(complex, {5, 3}, {1, 5});
  state["bytes"] = ViewOf(small, {4, 4}, {13, 3}, 1);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto expected, state.Tensors());
  ASSERT_EQ(reader.tensors().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const TensorView& view = *expected[i].view;
    const auto storage = BytesOf(*view.storage);
    const TensorInfo* info = &reader.tensors()[i];
    SCOPED_TRACE(info->view.spec.name);
    EXPECT_THAT(ReadBlock(reader, info), IsOkAndHolds(PlainGather(view)));
    ForEachBlock(view.spec.shape, [&](const std::vector<Range>& block) {
      ASSERT_THAT(ReadBlock(reader, info, block),
                  IsOkAndHolds(PlainGather(storage, view, block)));
    });
  }
}

// Views over storages beyond the spans in which they are read, with holes
// small and large, in file order and in any other.
TEST(ReaderRead, GivesViewsOfManyMegabytes) {
  const TensorView base = RandomTensor(DType::kInt16, {4500, 2100}, 1);
  const std::vector<TensorView> views = {
      ViewOf(base, {4500}, {2100}, 7),            // a column
      ViewOf(base, {2, 4500}, {1, 2100}, 7),      // two, transposed
      ViewOf(base, {4499, 2000}, {2100, 1}, 50),  // all but a margin
      ViewOf(base, {2000, 4499}, {1, 2100}, 50),  // that, transposed
      ViewOf(base, {450, 5}, {21000, 3}, 2),      // large holes
      ViewOf(base, {5, 450}, {3, 21000}, 2),
      ViewOf(base, {3, 2, 100, 50}, {0, 4720000, 1, 2100}, 1),
      ViewOf(base, {2250, 2, 30}, {4200, 70, 2}, 2100),
      ViewOf(base, {9, 1000000}, {1000000, 1}, 450000),  // dense, unaligned
      ViewOf(base, {2100, 4500}, {1, 2100}),             // the whole storage
  };
  State state;
  List list;
  for (const TensorView& view : views) list.items.push_back(view);
  state["views"] = std::move(list);
  const auto counted =
      std::make_shared<CountingAdapter>(InMemory(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  for (size_t i = 0; i < views.size(); ++i) {
    SCOPED_TRACE(i);
    Block block(&reader.tensors()[i], {});
    const ReadRequest request = block.Request();
    const uint64_t before = counted->bytes;
    CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report,
                                 reader.Read(std::span(&request, 1)));
    EXPECT_TRUE(block.bytes == PlainGather(views[i]));
    EXPECT_EQ(report.bytes_read, counted->bytes - before);
    EXPECT_THAT(report.checked, ElementsAre(i + 1 == views.size()));
    // No range is read twice.
    EXPECT_LE(report.bytes_read, views[i].storage->region.bytes);
  }
}

TEST(ReaderRead, GivesRandomViewsInOneCall) {
  std::mt19937 random(5);
  const auto below = [&](int64_t limit) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
  };
  State state;
  List list;
  for (int i = 0; i < 300; ++i) {
    const TensorView base = RandomTensor(
        i % 2 ? DType::kFloat64 : DType::kUInt8, {below(3000) + 1}, i);
    int64_t left = base.spec.shape[0] - 1;
    TensorView view = ViewOf(base, {}, {}, static_cast<uint64_t>(below(9)));
    left -= static_cast<int64_t>(view.offset);
    if (left < 0) view.offset = 0;
    for (int64_t d = below(5); d > 0 && left > 0; --d) {
      const int64_t stride = below(std::min<int64_t>(left, 40) + 1);
      const int64_t most = stride == 0 ? 4 : left / stride + 1;
      const int64_t size = below(std::min<int64_t>(most, 12)) + 1;
      view.spec.shape.push_back(size);
      view.strides.push_back(stride);
      left -= (size - 1) * stride;
    }
    CAISSON_ASSERT_OK(view.Validate());
    list.items.push_back(view);
  }
  state["views"] = list;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  std::vector<Block> blocks;
  for (const TensorInfo& info : reader.tensors())
    blocks.emplace_back(&info, std::vector<Range>{});
  std::vector<ReadRequest> requests;
  for (Block& block : blocks) requests.push_back(block.Request());
  CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report, reader.Read(requests));
  EXPECT_EQ(report.checked.size(), blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_EQ(blocks[i].bytes, PlainGather(*list.items[i].As<TensorView>()))
        << i;
  }
}

TEST(ReaderRead, NothingIsAskedAndNothingIsRead) {
  State state;
  state["t"] = RandomTensor(DType::kInt8, {10}, 1);
  const auto counted =
      std::make_shared<CountingAdapter>(InMemory(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  const uint64_t before = counted->reads;
  CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report, reader.Read({}));
  EXPECT_TRUE(report.checked.empty());
  EXPECT_EQ(report.bytes_read, 0u);
  EXPECT_THAT(ReadBlock(reader, &reader.tensors()[0], {{4, 4}}),
              IsOkAndHolds(ByteVector()));
  EXPECT_EQ(counted->reads, before);
}

// What is checked.

TEST(ReaderRead, SaysExactlyWhatWasChecked) {
  const TensorView base = RandomTensor(DType::kFloat32, {6, 8}, 1);
  State state;
  state["whole"] = base;
  state["transposed"] = ViewOf(base, {8, 6}, {1, 8});
  state["most"] = ViewOf(base, {47}, {1}, 1);
  state["row"] = ViewOf(base, {8}, {1}, 40);
  state["corners"] = ViewOf(base, {2}, {47});  // spans it all, with a hole
  state["empty"] = ViewOf(base, {0}, {1}, 3);
  state["other"] = RandomTensor(DType::kUInt8, {3}, 2);
  state["nothing"] = RandomTensor(DType::kUInt8, {0}, 2);
  const Records records = RecordsOf(FileOf(state));
  for (const bool without_crc : {false, true}) {
    Records copy = records;
    ZipBuilder zip;
    for (const auto& item : copy.items) {
      ZipEntry& entry = zip.Add(item.name, item.content);
      if (without_crc && item.name == "archive/data/0") entry.crc32 = 0;
    }
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(zip.Build()));
    const auto checked = [&](const char* name,
                             std::vector<Range> ranges = {}) -> bool {
      Block block(*reader.Find(name), std::move(ranges));
      const ReadRequest request = block.Request();
      return reader.Read(std::span(&request, 1))->checked.at(0);
    };
    const bool crc = !without_crc;
    EXPECT_EQ(checked("whole"), crc);
    EXPECT_EQ(checked("whole", {{0, 6}, {0, 8}}), crc);
    EXPECT_EQ(checked("transposed"), crc);
    EXPECT_EQ(checked("corners"), crc);
    EXPECT_FALSE(checked("whole", {{0, 5}, {0, 8}}));
    EXPECT_FALSE(checked("whole", {{0, 6}, {1, 8}}));
    EXPECT_FALSE(checked("most"));
    EXPECT_FALSE(checked("row"));
    EXPECT_TRUE(checked("empty"));
    EXPECT_TRUE(checked("whole", {{3, 3}, {0, 8}}));
    EXPECT_TRUE(checked("other"));
    EXPECT_FALSE(checked("other", {{0, 2}}));
    EXPECT_TRUE(checked("nothing"));
    EXPECT_EQ((*reader.Find("whole"))->crc32.has_value(), crc);
  }
}

// A payload whose true CRC is 0 cannot be told from one without.
TEST(ReaderRead, TakesACrcOfZeroForNone) {
  State state;
  state["t"] = RandomTensor(DType::kUInt32, {1}, 1);
  Records records = RecordsOf(FileOf(state));
  records["data/0"].content = "\x9d\x0a\xd9\x6d";
  ASSERT_EQ(Crc32(0, AsBytes(records["data/0"].content)), 0u);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(Rebuilt(records).Build()));
  Block block(*reader.Find("t"), {});
  const ReadRequest request = block.Request();
  CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report,
                               reader.Read(std::span(&request, 1)));
  EXPECT_THAT(report.checked, ElementsAre(false));
}

TEST(ReaderRead, NamesRecordAndOffsetOfDamage) {
  State state;
  state["good"] = RandomTensor(DType::kFloat32, {10}, 1);
  state["bad"] = RandomTensor(DType::kFloat32, {100, 100}, 2);
  std::string file = FileOf(state);
  const uint64_t offset = RecordsOf(file)["data/1"].offset;
  file[offset + 20000] ^= 0x10;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  CAISSON_EXPECT_OK(ReadNamed(reader, "good"));
  const auto names_it = StatusIs(
      StatusCode::kCorrupt,
      AllOf(HasSubstr("model.pt: record 'data/1' at " + std::to_string(offset)),
            HasSubstr("expected crc32 "), HasSubstr("found ")));
  EXPECT_THAT(ReadNamed(reader, "bad"), names_it);
  EXPECT_THAT(reader.Load().status(), names_it);
  // A part cannot be checked.
  CAISSON_EXPECT_OK(
      ReadBlock(reader, *reader.Find("bad"), {{50, 51}, {0, 100}}));
  CAISSON_EXPECT_OK(reader.Load({.verify = false}));
}

// What is refused.

TEST(ReaderRead, RefusesEveryMisfitBeforeTheFirstByteIsRead) {
  State state;
  state["t"] = RandomTensor(DType::kFloat32, {3, 4}, 1);
  state["scalar"] = RandomTensor(DType::kFloat32, {}, 1);
  const auto counted =
      std::make_shared<CountingAdapter>(InMemory(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  const TensorInfo* t = *reader.Find("t");
  const TensorInfo* scalar = *reader.Find("scalar");
  const TensorInfo copy = *t;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  struct Misfit {
    const TensorInfo* tensor;
    std::vector<Range> block;
    size_t bytes;
  };
  const Misfit kMisfits[] = {
      {t, {}, 47},
      {t, {}, 49},
      {t, {}, 0},
      {t, {{0, 3}}, 12},
      {t, {{0, 3}, {0, 4}, {0, 1}}, 48},
      {t, {{0, 4}, {0, 4}}, 64},
      {t, {{-1, 3}, {0, 4}}, 64},
      {t, {{2, 1}, {0, 4}}, 0},
      {t, {{4, 4}, {0, 4}}, 0},
      {t, {{0, kMax}, {0, 4}}, 48},
      {t, {{kMin, kMax}, {0, 4}}, 48},
      {t, {{1, 3}, {1, 4}}, 20},
      {scalar, {{0, 1}}, 4},
      {scalar, {}, 8},
      {nullptr, {}, 48},
      {&copy, {}, 48},
  };
  ByteVector good(48), bytes(64, std::byte{0x5a});
  const ByteVector untouched = bytes;
  const uint64_t reads = counted->reads;
  for (const Misfit& misfit : kMisfits) {
    const std::vector<ReadRequest> requests = {
        {t, {}, {good.data(), good.size(), Device::Cpu()}},
        {misfit.tensor,
         misfit.block,
         {bytes.data(), misfit.bytes, Device::Cpu()}}};
    EXPECT_THAT(reader.Read(requests).status(),
                StatusIs(StatusCode::kInvalidArgument))
        << &misfit - kMisfits;
  }
  const ReadRequest nowhere = {t, {}, {nullptr, 48, Device::Cpu()}};
  EXPECT_THAT(reader.Read(std::span(&nowhere, 1)).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'t'")));
  EXPECT_EQ(bytes, untouched);
  EXPECT_EQ(good, ByteVector(48));
  EXPECT_EQ(counted->reads, reads);
}

// A block of a view without elements once overflowed: its strides are free.
TEST(ReaderRead, TakesBlocksOfEmptyViewsWithAnyStrides) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  const TensorView base = RandomTensor(DType::kUInt8, {4}, 1);
  State state;
  state["t"] = ViewOf(base, {3, 0, 5}, {kHuge, 1, kHuge});
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  ForEachBlock({3, 0, 5}, [&](const std::vector<Range>& block) {
    ASSERT_THAT(ReadBlock(reader, *reader.Find("t"), block),
                IsOkAndHolds(ByteVector()));
  });
}

// Threads.

TEST(ReaderRead, ManyThreadsReadOneReader) {
  State state;
  for (int i = 0; i < 16; ++i) {
    state[std::to_string(i)] = RandomTensor(DType::kFloat32, {60 + i, 70}, i);
  }
  const ScratchDirectory scratch;
  Put(scratch / "f", FileOf(state));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(scratch / "f"));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto expected, state.Tensors());
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (size_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = 0; i < 64; ++i) {
        const size_t t = (i * 7 + thread * 3) % expected.size();
        const auto whole = ReadNamed(reader, Join(expected[t].path));
        const auto part =
            ReadBlock(reader, &reader.tensors()[t], {{1, 59}, {3, 4}});
        wrong += !whole || *whole != PlainGather(*expected[t].view);
        wrong +=
            !part || *part != PlainGather(BytesOf(*expected[t].view->storage),
                                          *expected[t].view, {{1, 59}, {3, 4}});
      }
      if (thread % 4 == 0) wrong += !reader.Load().has_value();
      if (thread % 4 == 1) wrong += !reader.Verify().has_value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace caisson
