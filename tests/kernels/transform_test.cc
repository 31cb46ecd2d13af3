// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

uint32_t ZlibCrc32(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

struct View {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  size_t storage;    // elements that the view lies in
  size_t first = 0;  // the one where it starts

  Strides AsStrides() const { return {shape, strides}; }

  size_t Elems() const {
    size_t elems = 1;
    for (const int64_t dim : shape) elems *= static_cast<size_t>(dim);
    return elems;
  }

  // The element of the storage that is the i-th of the view.
  size_t At(size_t i) const {
    auto at = static_cast<int64_t>(first);
    for (size_t dim = shape.size(); dim-- > 0;) {
      const auto size = static_cast<size_t>(shape[dim]);
      at += static_cast<int64_t>(i % size) * strides[dim];
      i /= size;
    }
    return static_cast<size_t>(at);
  }
};

// Most have thousands of elements, and so several blocks of 4 KiB.
std::vector<View> Views() {
  std::vector<View> views = {
      {"one dimension", {5003}, {1}, 5003},
      {"dense", {10, 25, 21}, {525, 21, 1}, 5250},
      {"scalar", {}, {}, 1},
      {"empty", {3, 0, 5}, {1, 1, 1}, 1},
      {"transposed", {70, 71}, {1, 70}, 4970},
      {"transposed planes", {3, 20, 200}, {4000, 1, 20}, 12000},
      {"transposed, backwards", {20, 300}, {-1, 20}, 6000, 19},
      {"rows with gaps", {50, 73}, {80, 1}, 50 * 80},
      {"every other", {40, 31}, {64, 2}, 40 * 64},
      {"broadcast rows", {60, 83}, {0, 1}, 83},
      {"broadcast columns", {60, 83}, {1, 0}, 60},
      {"one element", {4001}, {0}, 1},
      {"backwards", {50, 61}, {61, -1}, 50 * 61, 60},
      {"all backwards", {3001}, {-1}, 3001, 3000},
      {"permuted", {5, 11, 7, 13}, {13, 455, 65, 1}, 5005},
      {"windows", {100, 40}, {1, 1}, 139},
      {"halves of a dense block", {6, 5, 4, 30}, {1200, 120, 30, 1}, 7200},
      {"ones among the rest", {1, 33, 1, 65}, {99, 70, 99, 1}, 33 * 70},
      {"rank 64", {}, {}, 4096},
  };
  View& deep = views.back();
  deep.shape.assign(64, 1);
  deep.strides.assign(64, 12345);
  for (size_t dim = 3; dim < 63; dim += 5) {
    deep.shape[dim] = 2;
    deep.strides[dim] = int64_t{1} << (dim / 5);
  }
  return views;
}

Bytes Gathered(std::span<const std::byte> storage, const View& view,
               size_t width) {
  Bytes result(view.Elems() * width);
  for (size_t i = 0; i < view.Elems(); ++i) {
    std::copy_n(storage.begin() + view.At(i) * width, width,
                result.begin() + i * width);
  }
  return result;
}

Bytes Swapped(Bytes bytes, size_t unit) {
  for (size_t i = 0; i < bytes.size(); i += unit) {
    std::reverse(bytes.begin() + i, bytes.begin() + i + unit);
  }
  return bytes;
}

std::vector<DType> WholeByteDTypes() {
  std::vector<DType> dtypes;
  for (const DType dtype : AllDTypes()) {
    if (ByteWidth(dtype) != 0) dtypes.push_back(dtype);
  }
  return dtypes;
}

Step StepOf(Op op, DType dtype, CrcOf crc_of = CrcOf::kStored) {
  return {.op = op, .from = dtype, .to = dtype, .crc_of = crc_of};
}

class TransformTest : public KernelTest {
 protected:
  Status Transform(const Step& step, const Job& job) {
    return TransformAll(step, {&job, 1});
  }
  Status TransformAll(const Step& step, std::span<const Job> jobs) {
    Bytes workspace(kernels().workspace_bytes(step, jobs));
    return kernels().transform(step, jobs, {workspace.data(), workspace.size()},
                               {});
  }
};

TEST_P(TransformTest, MatchesPlainLoopForEveryStepDTypeAndView) {
  constexpr size_t kMostBytes = 12000 * 16;
  const GuardedBuffer source(kMostBytes);
  const GuardedBuffer target(kMostBytes);
  FillRandom(source.all(), 1);
  for (const View& view : Views()) {
    for (const DType dtype : WholeByteDTypes()) {
      SCOPED_TRACE(view.name + ", " + std::string(Name(dtype)));
      const size_t width = ByteWidth(dtype);
      const auto storage = source.AtEnd(view.storage * width);
      const Strides strides = view.AsStrides();
      const Bytes read = Gathered(storage, view, width);
      for (const Op op : {Op::kCopy, Op::kByteSwap}) {
        const Bytes stored =
            op == Op::kCopy ? read : Swapped(read, SwapWidth(dtype));
        for (const CrcOf crc_of : {CrcOf::kSource, CrcOf::kStored}) {
          uint32_t crc = 1;
          uint64_t bad = 1;
          const auto dst = target.AtEnd(read.size());
          Job job = {.src = storage.data() + view.first * width,
                     .dst = dst.data(),
                     .elems = view.Elems(),
                     .view = &strides,
                     .crc = &crc,
                     .bad = &bad};
          const uint32_t expected_crc =
              ZlibCrc32(crc_of == CrcOf::kSource ? read : stored);
          CAISSON_ASSERT_OK(Transform(StepOf(op, dtype, crc_of), job));
          ASSERT_EQ(Bytes(dst.begin(), dst.end()), stored);
          ASSERT_EQ(crc, expected_crc);
          ASSERT_EQ(bad, view.Elems());

          crc = 1;
          job.dst = nullptr;
          CAISSON_ASSERT_OK(Transform(StepOf(op, dtype, crc_of), job));
          ASSERT_EQ(crc, expected_crc) << "without a destination";
        }
      }
    }
  }
}

TEST_P(TransformTest, TakesEveryLengthOfContiguousBytesBetweenGuards) {
  const GuardedBuffer source(300 * 8);
  const GuardedBuffer target(300 * 8);
  FillRandom(source.all(), 2);
  for (const DType dtype : {DType::kUInt8, DType::kInt16, DType::kFloat64}) {
    for (const Op op : {Op::kCopy, Op::kByteSwap}) {
      for (size_t elems = 0; elems <= 300; ++elems) {
        const size_t bytes = elems * ByteWidth(dtype);
        const auto src = source.AtEnd(bytes);
        Bytes expected(src.begin(), src.end());
        if (op == Op::kByteSwap) expected = Swapped(expected, SwapWidth(dtype));
        for (const auto dst : {target.AtStart(bytes), target.AtEnd(bytes)}) {
          uint32_t crc = 1;
          CAISSON_ASSERT_OK(Transform(StepOf(op, dtype), {.src = src.data(),
                                                          .dst = dst.data(),
                                                          .elems = elems,
                                                          .crc = &crc}));
          ASSERT_EQ(Bytes(dst.begin(), dst.end()), expected) << elems;
          ASSERT_EQ(crc, ZlibCrc32(expected)) << elems;
        }
      }
    }
  }
}

TEST_P(TransformTest, WorksInPlaceAndTouchesNothingElse) {
  constexpr size_t kElems = 10'007;
  for (const DType dtype : WholeByteDTypes()) {
    for (const Op op : {Op::kCopy, Op::kByteSwap}) {
      const size_t bytes = kElems * ByteWidth(dtype);
      const Bytes before = RandomBytes(64 + bytes + 64, 3);
      const Bytes read(before.begin() + 64, before.end() - 64);
      const Bytes stored =
          op == Op::kCopy ? read : Swapped(read, SwapWidth(dtype));
      for (const CrcOf crc_of : {CrcOf::kSource, CrcOf::kStored}) {
        Bytes memory = before;
        Bytes expected = before;
        std::copy(stored.begin(), stored.end(), expected.begin() + 64);
        std::byte* payload = memory.data() + 64;
        uint32_t crc = 1;
        CAISSON_ASSERT_OK(Transform(
            StepOf(op, dtype, crc_of),
            {.src = payload, .dst = payload, .elems = kElems, .crc = &crc}));
        ASSERT_EQ(memory, expected) << Name(dtype);
        ASSERT_EQ(crc, ZlibCrc32(crc_of == CrcOf::kSource ? read : stored));
      }
    }
  }
}

TEST_P(TransformTest, SwapsTheComponentsOfAComplexNumber) {
  Bytes memory(16);
  for (size_t i = 0; i < 16; ++i) memory[i] = std::byte(i);
  Bytes swapped(16);
  for (size_t i = 0; i < 16; ++i)
    swapped[i] = std::byte(i < 8 ? 7 - i : 23 - i);
  CAISSON_ASSERT_OK(
      Transform(StepOf(Op::kByteSwap, DType::kComplex128),
                {.src = memory.data(), .dst = memory.data(), .elems = 1}));
  EXPECT_EQ(memory, swapped);
}

TEST_P(TransformTest, GivesEachJobOfABatchItsOwnCrc) {
  constexpr size_t kJobs = 300;
  const Bytes source = RandomBytes(kJobs * kJobs / 2, 4);
  Bytes target(source.size());
  std::vector<uint32_t> crcs(kJobs, 1);
  std::vector<uint64_t> bads(kJobs, 1);
  std::vector<Job> jobs;
  std::vector<size_t> firsts;
  size_t first = 0;
  for (size_t i = 0; i < kJobs; ++i) {
    firsts.push_back(first);
    jobs.push_back({.src = source.data() + first,
                    .dst = i % 3 == 0 ? nullptr : target.data() + first,
                    .elems = i,
                    .crc = i % 5 == 0 ? nullptr : &crcs[i],
                    .bad = &bads[i]});
    first += i;
  }
  CAISSON_ASSERT_OK(TransformAll(StepOf(Op::kCopy, DType::kUInt8), jobs));
  for (size_t i = 0; i < kJobs; ++i) {
    const Bytes read(source.begin() + firsts[i],
                     source.begin() + firsts[i] + i);
    const auto dst = target.begin() + firsts[i];
    EXPECT_EQ(Bytes(dst, dst + i), i % 3 == 0 ? Bytes(i) : read) << i;
    EXPECT_EQ(crcs[i], i % 5 == 0 ? 1 : ZlibCrc32(read)) << i;
    EXPECT_EQ(bads[i], i);
  }
}

TEST_P(TransformTest, AcceptsNoJobsAndJobsOfNothing) {
  const Step step = StepOf(Op::kByteSwap, DType::kFloat32);
  CAISSON_EXPECT_OK(TransformAll(step, {}));
  uint32_t crc = 1;
  uint64_t bad = 1;
  CAISSON_EXPECT_OK(Transform(step, {.crc = &crc, .bad = &bad}));
  EXPECT_EQ(crc, 0u);
  EXPECT_EQ(bad, 0u);
}

// Blocks, their edges, and lines of the destination that are not whole.
TEST_P(TransformTest, StoresTheSamePastTheCachesAndAtEveryAlignment) {
  constexpr size_t kMostElems = 10'000;
  const GuardedBuffer source(kMostElems * 8);
  const GuardedBuffer target(kMostElems * 8);
  FillRandom(source.all(), 1);
  const Result<const KernelTable*> host = KernelsFor(Device::Cpu());
  const Step steps[] = {
      StepOf(Op::kCopy, DType::kUInt8),
      StepOf(Op::kByteSwap, DType::kInt16),
      StepOf(Op::kByteSwap, DType::kFloat32),
      StepOf(Op::kByteSwap, DType::kInt64),
      {.op = Op::kConvert, .from = DType::kFloat32, .to = DType::kBFloat16},
      {.op = Op::kConvert, .from = DType::kBFloat16, .to = DType::kFloat32},
  };
  for (Step step : steps) {
    const size_t src_width = ByteWidth(step.from);
    const size_t dst_width = ByteWidth(step.to);
    for (const size_t elems : {1, 15, 16, 31, 64, 100, 1023, 1024, 1055, 2048,
                               2063, 4096, 4100, 8191, 8193, 10'000}) {
      const auto src = source.AtEnd(elems * src_width);
      Bytes expected(elems * dst_width);
      for (size_t i = 0; i < elems; ++i) {
        // By the host, to which one element is no batch.
        const Job one = {.src = &src[i * src_width],
                         .dst = &expected[i * dst_width],
                         .elems = 1};
        CAISSON_ASSERT_OK((*host)->transform(step, {&one, 1}, {}, {}));
      }
      for (size_t gap = 0; gap < 80; gap += gap < 9 ? 1 : 13) {
        for (const Stores stores :
             {Stores::kAuto, Stores::kCached, Stores::kStreaming}) {
          const auto dst = target.AtEnd(elems * dst_width, gap);
          FillRandom(target.all(), gap);
          Bytes all(target.all().begin(), target.all().end());
          std::copy(expected.begin(), expected.end(),
                    all.begin() + (dst.data() - target.all().data()));
          step.stores = stores;
          step.crc_of = gap % 2 == 0 ? CrcOf::kSource : CrcOf::kStored;
          uint32_t crc = 1;
          CAISSON_ASSERT_OK(Transform(step, {.src = src.data(),
                                             .dst = dst.data(),
                                             .elems = elems,
                                             .crc = &crc}));
          ASSERT_TRUE(std::ranges::equal(target.all(), all))
              << elems << " elements, gap " << gap;
          ASSERT_EQ(crc, gap % 2 == 0 ? ZlibCrc32(src) : ZlibCrc32(expected));
        }
      }
    }
  }
}

TEST_P(TransformTest, ConvertsViewsWithTheCrcOfEitherSide) {
  for (const View& view : Views()) {
    SCOPED_TRACE(view.name);
    const Bytes storage = RandomBytes(view.storage * 4, 2);
    const Bytes read = Gathered(storage, view, 4);
    const Strides strides = view.AsStrides();
    Step step = {
        .op = Op::kConvert, .from = DType::kFloat32, .to = DType::kFloat16};
    Bytes expected(view.Elems() * 2);
    CAISSON_ASSERT_OK(Transform(
        step,
        {.src = read.data(), .dst = expected.data(), .elems = view.Elems()}));
    for (const CrcOf crc_of : {CrcOf::kSource, CrcOf::kStored}) {
      for (const Stores stores : {Stores::kCached, Stores::kStreaming}) {
        step.crc_of = crc_of;
        step.stores = stores;
        Bytes found(expected.size());
        uint32_t crc = 1;
        CAISSON_ASSERT_OK(Transform(step, {.src = &storage[view.first * 4],
                                           .dst = found.data(),
                                           .elems = view.Elems(),
                                           .view = &strides,
                                           .crc = &crc}));
        EXPECT_EQ(found, expected);
        EXPECT_EQ(crc, ZlibCrc32(crc_of == CrcOf::kSource ? read : expected));
      }
    }
  }
}

TEST_P(TransformTest, RefusesStepsThatContradictThemselves) {
  for (const DType dtype : {DType::kFloat6E2M3, DType::kFloat6E3M2}) {
    EXPECT_THAT(TransformAll(StepOf(Op::kCopy, dtype), {}),
                StatusIs(StatusCode::kInvalidArgument,
                         HasSubstr(std::string(Name(dtype)))));
  }
  const Step step = {
      .op = Op::kCopy, .from = DType::kFloat32, .to = DType::kInt32};
  EXPECT_THAT(TransformAll(step, {}),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("float32"), HasSubstr("int32"))));
}

TEST_P(TransformTest, RefusesViewsThatContradictThemselves) {
  using Dims = std::vector<int64_t>;
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const struct {
    const char* message;
    Dims shape;
    Dims strides;
    size_t elems;
  } kViews[] = {
      {"expected 7", {2, 3}, {3, 1}, 7},
      {"expected 5", {2, 3}, {3, 1}, 5},
      {"2 dimensions and 1 strides", {2, 3}, {1}, 6},
      {"65 dimensions", Dims(65, 1), Dims(65, 1), 1},
      {"dimension of -2", {-2, -3}, {3, 1}, 6},
      {"dimension of -3", {0, -3}, {3, 1}, 0},
      {"more than 2^64 elements", {kHuge, kHuge}, {0, 0}, 1},
      {"stride of 9223372036854775807", {2}, {kHuge}, 2},
  };
  Bytes memory(1024);
  Bytes target(1024);
  for (const auto& view : kViews) {
    const Strides strides = {view.shape, view.strides};
    const Job jobs[] = {{},
                        {.src = memory.data(),
                         .dst = target.data(),
                         .elems = view.elems,
                         .view = &strides}};
    EXPECT_THAT(TransformAll(StepOf(Op::kCopy, DType::kInt32), jobs),
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("job 1"), HasSubstr(view.message))));
  }
}

// Regression: dimensions of stride 0 were joined beyond what an int64_t counts.
TEST_P(TransformTest, RefusesViewsOfMoreElementsThanCanBeCounted) {
  const std::vector<int64_t> shape = {int64_t{1} << 62, 3};
  const std::vector<int64_t> strides = {0, 0};
  const Strides view = {shape, strides};
  const std::byte element{};
  EXPECT_THAT(
      Transform(
          StepOf(Op::kCopy, DType::kUInt8),
          {.src = &element, .elems = (size_t{1} << 62) * 3, .view = &view}),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("2^63")));
}

TEST_P(TransformTest, RefusesStridedViewsInPlaceButNotDenseOnes) {
  Bytes memory = RandomBytes(24, 5);
  const Bytes swapped = Swapped(memory, 4);
  const std::vector<int64_t> shape = {2, 3};
  const std::vector<int64_t> dense = {3, 1};
  const std::vector<int64_t> transposed = {1, 2};
  Strides strides = {shape, transposed};
  const Job job = {
      .src = memory.data(), .dst = memory.data(), .elems = 6, .view = &strides};
  const Step step = StepOf(Op::kByteSwap, DType::kInt32);
  EXPECT_THAT(Transform(step, job),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("in place")));
  strides.strides = dense;
  CAISSON_EXPECT_OK(Transform(step, job));
  EXPECT_EQ(memory, swapped);
}

TEST_P(TransformTest, RefusesMoreBytesThanThereCanBe) {
  const size_t elems = std::numeric_limits<size_t>::max() / 2;
  EXPECT_THAT(
      Transform(StepOf(Op::kCopy, DType::kFloat32), {.elems = elems}),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("more than memory")));
}

INSTANTIATE_TEST_SUITE_P(AllTables, TransformTest,
                         testing::ValuesIn(RunnableTables()), TableName);

}  // namespace
}  // namespace caisson
