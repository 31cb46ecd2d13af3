// SPDX-License-Identifier: Apache-2.0
//
// Writer and the file it replaces: refused states, faults of the disk, links,
// and a file written over itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "caisson/reader.h"
#include "caisson/writer.h"
#include "core/base/status_macros.h"
#include "core/engine/write/part_writer.h"
#include "core/formats/torch/torch_writer.h"
#include "core/io/atomic_file.h"
#include "tests/engine/state_files.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Expects that `state` is refused with `matcher`, that no file appears, and
// that one which is there stays.
void ExpectRefused(const State& state, const testing::Matcher<Status>& matcher,
                   const WriteOptions& options = {},
                   const std::string& name = "model.pt") {
  const ScratchDirectory scratch;
  EXPECT_THAT(Writer(options).Write(state, scratch / name).status(), matcher);
  EXPECT_THAT(scratch.Names(), IsEmpty());
  Put(scratch / name, "old");
  EXPECT_THAT(Writer(options).Write(state, scratch / name).status(), matcher);
  EXPECT_EQ(Content(scratch / name), "old");
  EXPECT_THAT(scratch.Names(), ElementsAre(name));
}

State SmallState(uint64_t seed = 1) {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {300}, seed);
  state["b"]["c"] = RandomTensor(DType::kUInt8, {9000}, seed + 1);
  return state;
}

// Refused states.

TEST(WriterErrors, NameTheTensorWhoseViewExceedsItsStorage) {
  State state = SmallState();
  state["b"]["bad"] = ViewOf(RandomTensor(DType::kInt32, {9}, 1), {3}, {4}, 1);
  ExpectRefused(state,
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("model.pt"), HasSubstr("'b.bad'"),
                               HasSubstr("40"), HasSubstr("36"))));
  TensorView none = RandomTensor(DType::kInt32, {9}, 1);
  none.storage = nullptr;
  state["b"]["bad"] = none;
  ExpectRefused(state,
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("'b.bad'")));
  state["b"]["bad"] = ViewOf(RandomTensor(DType::kInt32, {9}, 1), {-1}, {1});
  ExpectRefused(state,
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("'b.bad'")));
}

TEST(WriterErrors, NameBothTensorsOfTwoDTypesOverOneStorage) {
  State state = SmallState();
  TensorView other = *state["a"].As<TensorView>();
  other.spec.dtype = DType::kInt32;
  state["b"]["other"] = other;
  ExpectRefused(state,
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("'a'"), HasSubstr("'b.other'"),
                               HasSubstr("float32"), HasSubstr("int32"))));
}

TEST(WriterErrors, NameTheTensorThatIsNotInMemory) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(FileOf(SmallState())));
  ExpectRefused(reader.state(),
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("'a'"), HasSubstr("load"))));
  State state = SmallState();
  TensorView device = *state["a"].As<TensorView>();
  device.storage = std::make_shared<Storage>(*device.storage);
  device.storage->region.device = Device::Cuda(0);
  state["d"] = device;
  ExpectRefused(state, StatusIs(StatusCode::kUnavailable, HasSubstr("cuda:0")));
}

TEST(WriterErrors, RefuseTreesThatHoldThemselvesOrAreTooDeep) {
  State cycle = SmallState();
  Node list = List{{1}};
  list.As<List>()->items.push_back(Tuple{{list}});
  cycle["list"] = list;
  ExpectRefused(cycle,
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("itself")));
  list.As<List>()->items.clear();  // or it would keep itself

  State deep;
  Node node = 1;
  for (size_t i = 0; i < kMaxDepth + 1; ++i) node = List{{node}};
  deep["deep"] = node;
  ExpectRefused(deep,
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("deeper")));
}

TEST(WriterErrors, RefuseADTypeThatTorchLacks) {
  State state;
  state["six"] = RandomTensor(DType::kFloat6E2M3, {4}, 1);
  ExpectRefused(
      state, StatusIs(StatusCode::kInvalidArgument, HasSubstr("float6_e2m3")));
}

TEST(WriterErrors, RefuseBadOptions) {
  for (const uint32_t alignment : {0u, 32769u, 65536u, 0xffffffffu}) {
    WriteOptions options;
    options.profile = Profile();
    options.profile->alignment = alignment;
    ExpectRefused(SmallState(),
                  StatusIs(StatusCode::kInvalidArgument,
                           HasSubstr(std::to_string(alignment))),
                  options);
  }
  for (const std::string& prefix :
       {std::string(), std::string("a/b"), std::string("a\0b", 3),
        std::string(65535, 'n')}) {
    WriteOptions options;
    options.profile = Profile();
    options.profile->prefix = prefix;
    ExpectRefused(SmallState(), StatusIs(StatusCode::kInvalidArgument),
                  options);
  }
  for (const size_t window : {0, 1, 4095, 4097, 6144}) {
    WriteOptions options;
    options.window_bytes = window;
    ExpectRefused(SmallState(), StatusIs(StatusCode::kInvalidArgument),
                  options);
  }
  WriteOptions options;
  options.window_bytes = size_t{1} << 60;
  ExpectRefused(SmallState(), StatusIs(StatusCode::kOutOfMemory), options);
  ExpectRefused(SmallState(), StatusIs(StatusCode::kInvalidArgument), {},
                ".hidden");
}

TEST(WriterErrors, RefuseSuffixesOfOtherFormats) {
  ExpectRefused(SmallState(),
                StatusIs(StatusCode::kUnsupported, HasSubstr("m.json")), {},
                "m.json");
}

TEST(WriterErrors, RefusePlacesWhereNoFileCanBe) {
  const ScratchDirectory scratch;
  EXPECT_THAT(
      Writer().Write(SmallState(), scratch / "no/such/model.pt").status(),
      StatusIs(StatusCode::kNotFound, HasSubstr("no/such/model.pt")));
  std::filesystem::create_directory(scratch / "folder.pt");
  EXPECT_THAT(Writer().Write(SmallState(), scratch / "folder.pt").status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("folder.pt")));
  EXPECT_THAT(Writer().Write(SmallState(), "").status(),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(scratch.Names(), ElementsAre("folder.pt"));
}

TEST(WriterErrors, LeaveTheWriterUsable) {
  const ScratchDirectory scratch;
  Writer writer;
  EXPECT_FALSE(writer.Write(SmallState(), scratch / "no/f.pt").has_value());
  State bad;
  bad["bad"] = ViewOf(RandomTensor(DType::kInt8, {1}, 1), {2}, {1});
  EXPECT_FALSE(writer.Write(bad, scratch / "f.pt").has_value());
  Writer moved = std::move(writer);
  CAISSON_ASSERT_OK(moved.Write(SmallState(), scratch / "f.pt"));
  CAISSON_ASSERT_OK(moved.Write(SmallState(), scratch / "f.pt"));
  CAISSON_EXPECT_OK(Reader::Open(scratch / "f.pt"));
}

// The file that is replaced.

TEST(WriterFile, WritesAFileOverItself) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "archive.pt";
  Put(path, FileOf(SmallState()));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader before, Reader::Open(path));
  CAISSON_ASSERT_OK_AND_ASSIGN(State state, before.Load());
  CAISSON_ASSERT_OK(Writer().Write(state, path));
  EXPECT_TRUE(Content(path) == FileOf(SmallState()));
  state["b"] = SmallState(7)["a"];
  CAISSON_ASSERT_OK(Writer().Write(state, path));
  // The old reader keeps the old file.
  EXPECT_THAT(
      ReadNamed(before, "b.c"),
      IsOkAndHolds(PlainGather(RandomTensor(DType::kUInt8, {9000}, 2))));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader after, Reader::Open(path));
  EXPECT_THAT(
      ReadNamed(after, "b"),
      IsOkAndHolds(PlainGather(RandomTensor(DType::kFloat32, {300}, 7))));
  EXPECT_THAT(scratch.Names(), ElementsAre("archive.pt"));
}

TEST(WriterFile, WritesWhatASymbolicLinkLeadsTo) {
  const ScratchDirectory scratch;
  std::filesystem::create_directory(scratch / "real");
  Put(scratch / "real/old.pt", "old");
  std::filesystem::create_symlink("real/old.pt", scratch / "link.pt");
  CAISSON_ASSERT_OK(Writer().Write(SmallState(), scratch / "link.pt"));
  EXPECT_TRUE(std::filesystem::is_symlink(scratch / "link.pt"));
  EXPECT_FALSE(std::filesystem::is_symlink(scratch / "real/old.pt"));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(scratch / "real/old.pt"));
  EXPECT_EQ(reader.state().profile.prefix, "link");
  EXPECT_THAT(scratch.Names(), ElementsAre("link.pt", "real"));
}

TEST(WriterFile, WritesTheSameWithAndWithoutSync) {
  const ScratchDirectory scratch;
  for (const bool sync : {true, false}) {
    WriteOptions options;
    options.sync = sync;
    CAISSON_ASSERT_OK(
        Writer(options).Write(SmallState(), scratch / "archive.pt"));
    EXPECT_TRUE(Content(scratch / "archive.pt") == FileOf(SmallState()));
  }
}

TEST(WriterFile, WritersOfOneTargetLeaveAWholeFile) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "archive.pt";
  const std::string files[] = {FileOf(SmallState(1)), FileOf(SmallState(5))};
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (const uint64_t seed : {1, 5}) {
    threads.emplace_back([&, seed] {
      WriteOptions options;
      options.sync = false;
      Writer writer(options);
      for (int i = 0; i < 50; ++i) {
        wrong += !writer.Write(SmallState(seed), path).has_value();
        const std::string found = Content(path);
        wrong += found != files[0] && found != files[1];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_THAT(scratch.Names(), ElementsAre("archive.pt"));
}

// Faults. The steps of Writer::Write on a file system that fails.

Status Save(const State& state, const std::string& path, FileSystem& files) {
  Profile profile = state.profile;
  profile.prefix = "archive";
  CAISSON_ASSIGN_OR_RETURN(const auto parts,
                           torch::WriteTorchArchive(state, profile));
  CAISSON_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::Create(path, {}, files));
  std::vector<std::byte> window(4096);
  CAISSON_RETURN_IF_ERROR(WriteParts(*parts, file.file(), window).status());
  return file.Commit();
}

TEST(WriterFaults, AnyFaultAtAnyOperationLeavesTheOldFileOrTheNew) {
  const std::string fresh = FileOf(SmallState());
  for (const bool no_unnamed : {false, true}) {
    for (const Fault fault :
         {Fault::kError, Fault::kErrorAfter, Fault::kShort, Fault::kNothing}) {
      for (int n = 0;; ++n) {
        const ScratchDirectory scratch;
        Put(scratch / "f", "old");
        FaultPlan plan;
        plan.fault = fault;
        plan.at = n;
        plan.error = n % 2 ? EIO : ENOSPC;
        plan.no_unnamed = no_unnamed;
        FaultFileSystem files(plan);
        const Status status = Save(SmallState(), scratch / "f", files);
        const std::string found = Content(scratch / "f");
        SCOPED_TRACE("operation " + std::to_string(n) + ": " +
                     status.ToString());
        if (status.ok()) {
          ASSERT_TRUE(found == fresh);
        } else {
          ASSERT_THAT(status.message(), HasSubstr(scratch / "f"));
          ASSERT_TRUE(found == "old" || found == fresh);
        }
        ASSERT_TRUE(status.ok() || fault != Fault::kShort);
        if (!files.fired()) break;
      }
    }
  }
}

TEST(WriterFaults, ADiskThatFillsUpLeavesTheOldFileAndNoTemporary) {
  for (const bool no_unnamed : {false, true}) {
    for (int n = 0; n < 3; ++n) {  // a window each
      const ScratchDirectory scratch;
      Put(scratch / "f", "old");
      FaultPlan plan;
      plan.fault = Fault::kError;
      plan.at = n;
      plan.and_after = true;
      plan.only = "write";
      plan.error = ENOSPC;
      plan.no_unnamed = no_unnamed;
      FaultFileSystem files(plan);
      EXPECT_THAT(
          Save(SmallState(), scratch / "f", files),
          StatusIs(StatusCode::kIo,
                   AllOf(HasSubstr("write at " + std::to_string(4096 * n)),
                         HasSubstr("No space left"))));
      EXPECT_EQ(Content(scratch / "f"), "old");
      EXPECT_THAT(scratch.Names(), ElementsAre("f"));
    }
  }
}

TEST(WriterFaults, AnyInterruptionIsAbsorbed) {
  const std::string fresh = FileOf(SmallState());
  for (int n = 0;; ++n) {
    const ScratchDirectory scratch;
    FaultPlan plan;
    plan.fault = Fault::kError;
    plan.at = n;
    plan.error = EINTR;
    FaultFileSystem files(plan);
    CAISSON_ASSERT_OK(Save(SmallState(), scratch / "f", files));
    ASSERT_TRUE(Content(scratch / "f") == fresh);
    if (!files.fired()) break;
  }
}

}  // namespace
}  // namespace caisson
