// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <streambuf>
#include <thread>
#include <vector>

#include "caisson/adapter.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The same bytes behind each kind of adapter.
class AdapterTest : public testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<const ReadAdapter> Make(const std::string& content) {
    const std::string kind = GetParam();
    if (kind == "memory") {
      auto owner = std::make_shared<const std::string>(content);
      const auto bytes = AsBytes(*owner);
      return std::make_shared<MemoryAdapter>(bytes, "bytes", std::move(owner));
    }
    if (kind == "file") {
      Put(scratch_ / "bytes", content);
      auto file = FileAdapter::Open(scratch_ / "bytes");
      EXPECT_THAT(file, IsOk());
      return file.has_value() ? *file : nullptr;
    }
    // Embedded: something else lies before.
    const std::string before = kind == "stream" ? "" : "before";
    stream_ = std::make_unique<std::istringstream>(before + content);
    stream_->seekg(static_cast<std::streamoff>(before.size()));
    auto stream = IStreamAdapter::Open(stream_.get(), "bytes");
    EXPECT_THAT(stream, IsOk());
    return stream.has_value() ? *stream : nullptr;
  }

  ScratchDirectory scratch_;
  std::unique_ptr<std::istringstream> stream_;
};

INSTANTIATE_TEST_SUITE_P(All, AdapterTest,
                         testing::Values("file", "stream", "embedded_stream",
                                         "memory"),
                         [](const auto& test) { return test.param; });

TEST_P(AdapterTest, ReadsEveryRangeAndTouchesNothingElse) {
  const std::string content = "0123456789";
  const auto adapter = Make(content);
  ASSERT_NE(adapter, nullptr);
  EXPECT_EQ(adapter->size(), content.size());
  EXPECT_THAT(adapter->name(), HasSubstr("bytes"));
  for (size_t offset = 0; offset < 14; ++offset) {
    for (size_t bytes = 0; bytes < 14; ++bytes) {
      std::string found(bytes + 2, '?');
      const std::string expected =
          offset < content.size() ? content.substr(offset, bytes) : "";
      ASSERT_THAT(adapter->Read(offset, AsWritable(found).subspan(1, bytes)),
                  IsOkAndHolds(expected.size()));
      ASSERT_EQ(found.substr(1, expected.size()), expected);
      ASSERT_EQ(found.front(), '?');
      ASSERT_EQ(found.substr(1 + expected.size()),
                std::string(found.size() - 1 - expected.size(), '?'));
    }
  }
}

TEST_P(AdapterTest, ReadsNothingAtOffsetsWhoseSumsWouldWrap) {
  const auto adapter = Make("0123456789");
  ASSERT_NE(adapter, nullptr);
  constexpr auto kMax = std::numeric_limits<uint64_t>::max();
  std::string found(8, '?');
  for (const uint64_t offset :
       {kMax, kMax - 3, kMax - 7, kMax / 2, kMax / 2 + 1, kMax / 2 - 3}) {
    EXPECT_THAT(adapter->Read(offset, AsWritable(found)), IsOkAndHolds(0u));
  }
  EXPECT_EQ(found, "????????");
}

TEST_P(AdapterTest, AnEmptySourceHasNothingToRead) {
  const auto adapter = Make("");
  ASSERT_NE(adapter, nullptr);
  EXPECT_EQ(adapter->size(), 0u);
  std::string found(1, '?');
  EXPECT_THAT(adapter->Read(0, AsWritable(found)), IsOkAndHolds(0u));
  EXPECT_THAT(adapter->Read(0, {}), IsOkAndHolds(0u));
}

TEST_P(AdapterTest, ThreadsReadAtOnce) {
  const auto bytes = RandomBytes(1 << 16, 7);
  const auto adapter = Make(
      std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  ASSERT_NE(adapter, nullptr);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::byte> found(97 + t);
      for (size_t at = t; at + found.size() <= bytes.size(); at += 997) {
        ASSERT_THAT(adapter->Read(at, found), IsOkAndHolds(found.size()));
        ASSERT_TRUE(std::equal(found.begin(), found.end(), &bytes[at]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(FileAdapter, OpensOnlyRegularFiles) {
  const ScratchDirectory scratch;
  EXPECT_THAT(FileAdapter::Open(scratch / "absent"),
              StatusIs(StatusCode::kNotFound, HasSubstr(scratch / "absent")));
  EXPECT_THAT(FileAdapter::Open(scratch.path()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("a directory")));
  ASSERT_EQ(mkfifo((scratch / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(FileAdapter::Open(scratch / "pipe"),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr(scratch / "pipe"),
                             HasSubstr("expected a regular file, found a "
                                       "pipe"))));
}

TEST(FileAdapter, AFileThatShrankGivesFewerBytes) {
  const ScratchDirectory scratch;
  Put(scratch / "f", "0123456789");
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto adapter,
                               FileAdapter::Open(scratch / "f"));
  std::filesystem::resize_file(scratch / "f", 6);
  std::string found(10, '?');
  EXPECT_THAT(adapter->Read(0, AsWritable(found)), IsOkAndHolds(6u));
  EXPECT_EQ(found, "012345????");
  EXPECT_THAT(adapter->Read(8, AsWritable(found)), IsOkAndHolds(0u));
  EXPECT_EQ(adapter->size(), 10u);
}

TEST(FileAdapter, AFileThatGrewEndsWhereItDidAtOpening) {
  const ScratchDirectory scratch;
  Put(scratch / "f", "012345");
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto adapter,
                               FileAdapter::Open(scratch / "f"));
  Put(scratch / "f", "0123456789");
  std::string found(10, '?');
  EXPECT_THAT(adapter->Read(4, AsWritable(found)), IsOkAndHolds(2u));
  EXPECT_THAT(adapter->Read(6, AsWritable(found)), IsOkAndHolds(0u));
}

TEST(FileAdapter, ClosesItsDescriptor) {
  const ScratchDirectory scratch;
  Put(scratch / "f", "abc");
  const int before = LowestFreeDescriptor();
  CAISSON_EXPECT_OK(FileAdapter::Open(scratch / "f"));
  EXPECT_THAT(FileAdapter::Open(scratch.path()), testing::Not(IsOk()));
  EXPECT_EQ(LowestFreeDescriptor(), before);
}

// A stream of the user's own that answers or throws as told.
class OddBuffer : public std::streambuf {
 public:
  enum Oddity { kNoSeek, kThrowOnSeek, kThrowOnRead, kEndsEarly };
  explicit OddBuffer(Oddity oddity) : oddity_(oddity) {}

 protected:
  pos_type seekoff(off_type offset, std::ios_base::seekdir from,
                   std::ios_base::openmode) override {
    if (oddity_ == kNoSeek) return pos_type(off_type(-1));
    if (oddity_ == kThrowOnSeek) throw std::runtime_error("seek");
    if (from == std::ios_base::beg) at_ = offset;
    if (from == std::ios_base::end) at_ = 100;
    return at_;
  }
  std::streamsize xsgetn(char*, std::streamsize) override {
    if (oddity_ == kThrowOnRead) throw std::runtime_error("read");
    return 0;
  }

 private:
  Oddity oddity_;
  off_type at_ = 0;
};

TEST(IStreamAdapter, AStreamThatCannotSeekIsAnIoError) {
  for (const auto oddity : {OddBuffer::kNoSeek, OddBuffer::kThrowOnSeek}) {
    OddBuffer buffer(oddity);
    std::istream stream(&buffer);
    stream.exceptions(std::ios_base::badbit | std::ios_base::failbit);
    EXPECT_THAT(IStreamAdapter::Open(&stream, "odd"),
                StatusIs(StatusCode::kIo, HasSubstr("odd: open: ")));
  }
  std::ifstream absent("/nonexistent/file");
  EXPECT_THAT(IStreamAdapter::Open(&absent), StatusIs(StatusCode::kIo));
}

TEST(IStreamAdapter, NoStreamIsAnInvalidArgument) {
  EXPECT_THAT(IStreamAdapter::Open(nullptr),
              StatusIs(StatusCode::kInvalidArgument));
  std::istream hollow(nullptr);
  EXPECT_THAT(IStreamAdapter::Open(&hollow),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(IStreamAdapter, AReadThatThrowsIsAnIoErrorWithItsOffset) {
  OddBuffer buffer(OddBuffer::kThrowOnRead);
  std::istream stream(&buffer);
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto adapter,
                               IStreamAdapter::Open(&stream, "odd"));
  std::string found(4, '?');
  EXPECT_THAT(adapter->Read(12, AsWritable(found)),
              StatusIs(StatusCode::kIo, HasSubstr("odd: read at 12: ")));
}

TEST(IStreamAdapter, AStreamThatEndsEarlyGivesFewerBytes) {
  OddBuffer buffer(OddBuffer::kEndsEarly);
  std::istream stream(&buffer);
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto adapter,
                               IStreamAdapter::Open(&stream));
  EXPECT_EQ(adapter->size(), 100u);
  std::string found(4, '?');
  EXPECT_THAT(adapter->Read(12, AsWritable(found)), IsOkAndHolds(0u));
}

TEST(IStreamAdapter, AStreamReadToItsEndStillSeeks) {
  std::istringstream stream("0123456789");
  std::string word;
  stream >> word;
  ASSERT_TRUE(stream.eof());
  stream.seekg(0);  // clears eof only
  stream.setstate(std::ios_base::failbit);
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto adapter,
                               IStreamAdapter::Open(&stream));
  std::string found(10, '?');
  EXPECT_THAT(adapter->Read(0, AsWritable(found)), IsOkAndHolds(10u));
  EXPECT_EQ(found, "0123456789");
}

TEST(IStreamAdapter, ReadsAFileStreamFromItsPosition) {
  const ScratchDirectory scratch;
  Put(scratch / "f", "0123456789");
  std::ifstream stream(scratch / "f", std::ios::binary);
  stream.seekg(4);
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto adapter,
                               IStreamAdapter::Open(&stream));
  EXPECT_EQ(adapter->size(), 6u);
  std::string found(9, '?');
  EXPECT_THAT(adapter->Read(3, AsWritable(found)), IsOkAndHolds(3u));
  EXPECT_EQ(found, "789??????");
  EXPECT_THAT(adapter->Read(0, AsWritable(found)), IsOkAndHolds(6u));
  EXPECT_EQ(found, "456789???");
}

TEST(MemoryAdapter, KeepsItsOwnerAlive) {
  auto owner = std::make_shared<const std::string>("abc");
  const std::weak_ptr<const std::string> watch = owner;
  auto adapter = std::make_unique<MemoryAdapter>(AsBytes(*owner), "m", owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  adapter.reset();
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace caisson
