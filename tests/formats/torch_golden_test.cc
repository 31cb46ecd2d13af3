// SPDX-License-Identifier: Apache-2.0
//
// The golden objects of formats.md, Appendix A, both ways: what stock torch
// wrote is read as it stands there, and what is built here is written with the
// bytes of stock torch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "caisson/writer.h"
#include "core/formats/torch/torch_archive.h"
#include "tests/formats/golden_states.h"
#include "tests/formats/part_runner.h"
#include "tests/formats/torch_code.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/golden_archives.h"
#include "tests/support/sha256.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

// FIPS 180-2, appendix B.
TEST(Sha256, GivesThePublishedSums) {
  EXPECT_EQ(Sha256(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Everything that Load() gives: values by their bytes, then the tree.
std::string Content(const State& state) {
  std::string content = NodeText(state.root);
  const auto tensors = state.Tensors();
  EXPECT_THAT(tensors, IsOk());
  for (const NamedTensor& tensor : *tensors) {
    const Region& region = tensor.view->storage->region;
    if (region.bytes == 0) continue;
    EXPECT_TRUE(tensor.view->storage->resident());
    content.append(reinterpret_cast<const char*>(region.data), region.bytes);
  }
  return content;
}

Result<State> LoadBytes(const std::string& bytes) {
  auto reader = OpenBytes(bytes, /*strict=*/true);
  if (!reader) return reader.error();
  return reader->Load();
}

std::string GoldenOf(int n, bool torch_2_6) {
  const std::string name =
      "g" + std::to_string(n) + (torch_2_6 ? "_torch_2_6" : "_torch_1_13");
  for (const GoldenArchive& archive : GoldenArchives()) {
    if (archive.name == name) return archive.bytes;
  }
  return "";
}

// Every stock file of Gn that there is.
std::vector<std::string> FilesOf(int n) {
  std::vector<std::string> files = {GoldenFile(n), GoldenOf(n, true)};
  if (const std::string old = GoldenOf(n, false); !old.empty()) {
    files.push_back(old);
  }
  return files;
}

TEST(TorchGolden, FilesHaveTheListedSums) {
  for (const Golden& golden : Goldens()) {
    const std::string newest = GoldenFile(golden.n);
    EXPECT_EQ(newest.size(), golden.torch_2_13.bytes);
    EXPECT_EQ(Sha256(newest), golden.torch_2_13.sha256) << "G" << golden.n;
    EXPECT_EQ(Sha256(GoldenOf(golden.n, true)), golden.torch_2_6.sha256);
    const std::string old = GoldenOf(golden.n, false);
    if (old.empty()) continue;
    EXPECT_EQ(Sha256(old), golden.torch_1_13.sha256) << "G" << golden.n;
  }
}

TEST(TorchGolden, RecordsLieWhereTheyAreListed) {
  for (const Golden& golden : Goldens()) {
    const std::string bytes = GoldenOf(golden.n, true);
    const ByteSource source(std::make_shared<MemoryAdapter>(
        std::as_bytes(std::span(bytes)), "golden"));
    CAISSON_ASSERT_OK_AND_ASSIGN(const TorchArchive archive,
                                 TorchArchive::Open(source));
    EXPECT_EQ(archive.prefix(), "archive");
    ASSERT_EQ(archive.entries().size(), golden.records.size());
    for (size_t i = 0; i < golden.records.size(); ++i) {
      const GoldenRecord& record = golden.records[i];
      const zip::Entry& entry = archive.entries()[i];
      EXPECT_EQ(archive.RecordName(entry), record.name);
      EXPECT_EQ(archive.Find(record.name), &entry);
      EXPECT_EQ(entry.header_offset, record.header) << record.name;
      EXPECT_EQ(entry.data_offset, record.data) << record.name;
      EXPECT_EQ(entry.bytes, record.bytes) << record.name;
      EXPECT_EQ(entry.crc32, record.crc32) << record.name;
    }
    EXPECT_EQ(archive.Find("data/99"), nullptr);
    EXPECT_EQ(archive.Find("archive/data.pkl"), nullptr);
  }
}

TEST(TorchGolden, FilesLoadAsTheObjectsThatTheyWere) {
  for (const Golden& golden : Goldens()) {
    const std::string expected = Content(GoldenState(golden.n));
    for (const std::string& file : FilesOf(golden.n)) {
      CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(file));
      EXPECT_EQ(Content(state), expected) << "G" << golden.n;
    }
  }
}

TEST(TorchGolden, ViewsOfOneStorageShareItAfterLoading) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(GoldenFile(3)));
  const auto& items = state.root.As<List>()->items;
  const auto storage = [&](size_t i) {
    return items[i].As<TensorView>()->storage;
  };
  EXPECT_EQ(storage(0), storage(1));
  EXPECT_NE(storage(0), storage(2));
  EXPECT_NE(storage(2), storage(3));
}

// Which of two equal sums failed is told by the first byte that differs.
void ExpectFile(const Result<std::string>& written, const GoldenSum& sum,
                const std::string& stock, const std::string& what) {
  CAISSON_ASSERT_OK(written);
  EXPECT_EQ(written->size(), sum.bytes) << what;
  EXPECT_EQ(Sha256(*written), sum.sha256) << what;
  if (stock.empty() || *written == stock) return;
  size_t at = 0;
  while (at < stock.size() && (*written)[at] == stock[at]) ++at;
  ADD_FAILURE() << what << " differs from stock at byte " << at;
}

TEST(TorchGolden, ObjectsAreWrittenWithTheBytesOfStockTorch) {
  for (const Golden& golden : Goldens()) {
    State state = GoldenState(golden.n);
    const std::string name = "G" + std::to_string(golden.n);
    ExpectFile(TorchBytes(state, Profile::Torch2_7()), golden.torch_2_13,
               GoldenFile(golden.n), name + " as of 2.13");
    Profile without = Profile::Torch2_7();
    without.storage_alignment = false;
    ExpectFile(TorchBytes(state, without), golden.without_alignment, "",
               name + " without .storage_alignment");
    ExpectFile(TorchBytes(state, Profile::Torch2_6()), golden.torch_2_6,
               GoldenOf(golden.n, true), name + " as of 2.6");
    if (golden.torch_1_13.bytes == 0) continue;
    // torch 1.13 has no metadata and loses the bit; a writer of its layout
    // must not.
    if (auto* view = state.root.As<TensorView>()) view->conj = false;
    ExpectFile(TorchBytes(state, Profile::Torch1_13()), golden.torch_1_13,
               GoldenOf(golden.n, false), name + " as of 1.13");
  }
}

TEST(TorchGolden, FilesAreWrittenAgainAsTheyWere) {
  for (const Golden& golden : Goldens()) {
    for (const std::string& file : FilesOf(golden.n)) {
      CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(file));
      const auto again = TorchBytes(state, state.profile);
      CAISSON_ASSERT_OK(again);
      EXPECT_EQ(Sha256(*again), Sha256(file)) << "G" << golden.n;
    }
  }
}

// The same through Writer, into a real file.
TEST(TorchGolden, WriterWritesTheBytesOfStockTorch) {
  const ScratchDirectory scratch;
  Profile without;
  without.storage_alignment = false;
  for (const Golden& golden : Goldens()) {
    const std::string name = "G" + std::to_string(golden.n);
    const std::tuple<const char*, Profile, GoldenSum> kLayouts[] = {
        {" as of 2.13", Profile(), golden.torch_2_13},
        {" without .storage_alignment", without, golden.without_alignment},
        {" as of 2.6", Profile::Torch2_6(), golden.torch_2_6},
        {" as of 1.13", Profile::Torch1_13(), golden.torch_1_13}};
    for (const auto& [layout, profile, sum] : kLayouts) {
      if (sum.bytes == 0) continue;
      State state = GoldenState(golden.n);
      if (!profile.byteorder) {  // 1.13 loses the bit, as above
        if (auto* view = state.root.As<TensorView>()) view->conj = false;
      }
      WriteOptions options;
      options.sync = false;
      options.profile = profile;
      const std::string path = scratch / "archive.pt";
      CAISSON_ASSERT_OK(Writer(options).Write(state, path).status());
      ExpectFile(caisson::Content(path), sum, "", name + layout);
    }
  }
}

}  // namespace
}  // namespace caisson::torch
