// SPDX-License-Identifier: Apache-2.0
//
// Real files cut at every byte and damaged in every byte: opening, loading and
// verifying give a value or a typed error, and take memory for what the file
// holds, not for what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/formats/golden_states.h"
#include "tests/formats/torch_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using testing::AnyOf;

// The worst of all these files took 10 times its size, most of it for the nodes
// and names of its few tensors.
constexpr size_t kPeakPerByte = 20;

// Opens, loads and verifies; the first error, or OK.
Status ReadAll(const std::string& bytes, bool strict) {
  auto reader = OpenBytes(bytes, strict);
  if (!reader) return reader.error();
  const auto report = reader->Verify();
  if (!report) return report.error();
  const Status loaded = reader->Load().status();
  if (!report->ok()) return Status::Corrupt("damage");
  return loaded;
}

size_t worst_peak = 0;

// Both ways of reading; true if the file was taken.
bool ExpectValueOrTypedError(const std::string& bytes, size_t file_bytes,
                             const std::string& what) {
  bool taken = false;
  for (const bool strict : {false, true}) {
    const AllocationMeter meter;
    const Status status = ReadAll(bytes, strict);
    const size_t peak = meter.PeakBytes();
    EXPECT_LT(peak, kPeakPerByte * file_bytes) << what;
    worst_peak = std::max(worst_peak, peak / file_bytes);
    EXPECT_THAT(status, AnyOf(IsOk(), StatusIs(StatusCode::kCorrupt),
                              StatusIs(StatusCode::kUnsupported)))
        << what;
    taken = taken || status.ok();
  }
  return taken;
}

class TorchDamageTest : public testing::TestWithParam<int> {};

TEST_P(TorchDamageTest, WholeFileIsRead) {
  const std::string file = GoldenFile(GetParam());
  EXPECT_TRUE(ExpectValueOrTypedError(file, file.size(), "whole"));
}

TEST_P(TorchDamageTest, NoPrefixOfAFileIsAFile) {
  const std::string file = GoldenFile(GetParam());
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    const bool taken = ExpectValueOrTypedError(
        file.substr(0, bytes), file.size(), "cut to " + std::to_string(bytes));
    EXPECT_FALSE(taken) << "cut to " << bytes;
  }
}

TEST_P(TorchDamageTest, EveryDamagedByteIsAValueOrATypedError) {
  std::string file = GoldenFile(GetParam());
  for (size_t at = 0; at < file.size(); ++at) {
    const char whole = file[at];
    for (const int mask : {0x01, 0x04, 0x20, 0x80, 0xff}) {
      file[at] = static_cast<char>(whole ^ mask);
      ExpectValueOrTypedError(
          file, file.size(),
          "byte " + std::to_string(at) + " xor " + std::to_string(mask));
    }
    file[at] = whole;
  }
}

// The pickle of a golden file.
std::string PickleOf(const std::string& file) {
  const size_t start = file.find("\x80\x02");
  return file.substr(start, file.find("PK\x07\x08") - start);
}

// Without the CRCs, which see to it that nothing behind them is ever reached.
TEST_P(TorchDamageTest, EveryDamagedByteOfAPickleIsAValueOrATypedError) {
  const std::string golden = GoldenFile(GetParam());
  const std::string pickle = PickleOf(golden);
  TorchFile file;
  file.pickle = pickle;
  const auto reader = OpenBytes(golden);
  CAISSON_ASSERT_OK(reader);
  for (const TensorInfo& tensor : reader->tensors()) {
    file.storages[tensor.record.substr(5)] =
        golden.substr(tensor.offset, tensor.stored_bytes);
  }
  ASSERT_TRUE(ExpectValueOrTypedError(file.Bytes(), golden.size(), "rebuilt"));
  for (size_t at = 0; at < pickle.size(); ++at) {
    for (int mask = 1; mask < 256; mask += mask < 8 ? 1 : 21) {
      file.pickle = pickle;
      file.pickle[at] = static_cast<char>(pickle[at] ^ mask);
      ExpectValueOrTypedError(file.Bytes(), golden.size(),
                              "pickle byte " + std::to_string(at));
    }
  }
}

void ExpectTypedMeaning(const std::string& pickle, const std::string& what) {
  for (const bool strict : {false, true}) {
    TorchSemantics semantics;
    EXPECT_THAT(pickle::Unpickle(std::as_bytes(std::span(pickle)), "p",
                                 semantics, {.strict = strict})
                    .status(),
                AnyOf(IsOk(), StatusIs(StatusCode::kCorrupt),
                      StatusIs(StatusCode::kUnsupported)))
        << what;
  }
}

TEST(PickleDamage, EveryPrefixOfAGoldenPickleIsRefused) {
  for (const Golden& golden : Goldens()) {
    const std::string pickle = PickleOf(GoldenFile(golden.n));
    for (size_t bytes = 0; bytes < pickle.size(); ++bytes) {
      TorchSemantics semantics;
      EXPECT_THAT(
          pickle::Unpickle(std::as_bytes(std::span(pickle).first(bytes)), "p",
                           semantics),
          StatusIs(StatusCode::kCorrupt))
          << "G" << golden.n << " cut to " << bytes;
    }
  }
}

TEST(PickleDamage, EveryDamagedByteOfAGoldenPickleIsAValueOrATypedError) {
  for (const Golden& golden : Goldens()) {
    std::string pickle = PickleOf(GoldenFile(golden.n));
    for (char& byte : pickle) {
      for (int mask = 1; mask < 256; mask += mask < 8 ? 1 : 13) {
        byte = static_cast<char>(byte ^ mask);
        ExpectTypedMeaning(pickle, "G" + std::to_string(golden.n) + " byte " +
                                       std::to_string(&byte - &pickle[0]));
        byte = static_cast<char>(byte ^ mask);
      }
    }
  }
}

// Several bytes at once, copied, removed or made up.
TEST_P(TorchDamageTest, ManyDamagedBytesAreAValueOrATypedError) {
  const std::string golden = GoldenFile(GetParam());
  const auto random = RandomBytes(200000, static_cast<uint64_t>(GetParam()));
  size_t drawn = 0;
  const auto draw = [&](size_t limit) {
    size_t value = 0;
    for (int i = 0; i < 3; ++i) {
      value = value << 8 | static_cast<size_t>(random[drawn++ % random.size()]);
    }
    return value % limit;
  };
  for (int round = 0; round < 2000; ++round) {
    std::string file = golden;
    for (size_t changes = 1 + draw(4); changes > 0; --changes) {
      const size_t at = draw(file.size());
      const size_t bytes = std::min(draw(64), file.size() - at);
      switch (draw(4)) {
        case 0:
          file[at] = static_cast<char>(draw(256));
          break;
        case 1:
          file.erase(at, std::min(bytes, file.size() - 1));
          break;
        case 2:
          file.insert(draw(file.size()),
                      golden.substr(at % golden.size(), bytes));
          break;
        default:
          file.replace(at, bytes,
                       std::string(bytes, static_cast<char>(draw(256))));
      }
    }
    ExpectValueOrTypedError(file, file.size(),
                            "round " + std::to_string(round));
  }
  RecordProperty("worst_peak_per_byte", static_cast<int>(worst_peak));
}

INSTANTIATE_TEST_SUITE_P(Golden, TorchDamageTest, testing::Values(2, 3, 5),
                         [](const auto& param) {
                           return "G" + std::to_string(param.param);
                         });

}  // namespace
}  // namespace caisson::torch
