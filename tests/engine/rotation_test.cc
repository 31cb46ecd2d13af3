// SPDX-License-Identifier: Apache-2.0
#include "caisson/rotation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/engine/rotation/rotation_names.h"
#include "tests/engine/rotation_case.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Names.

TEST(RotationNames, AStepHasOneName) {
  const RotationOptions options;
  EXPECT_EQ(CheckpointName(options, 0), "step0.pt");
  EXPECT_EQ(StepOf(options, "step0.pt"), 0u);
  EXPECT_EQ(StepOf(options, "step120.pt"), 120u);
  EXPECT_EQ(StepOf(options, "step18446744073709551615.pt"),
            std::numeric_limits<uint64_t>::max());
  for (const char* name : {"",
                           "step",
                           ".pt",
                           "step.pt",
                           "step1",
                           "1.pt",
                           "step01.pt",
                           "step00.pt",
                           "step-1.pt",
                           "step+1.pt",
                           "step 1.pt",
                           "step1 .pt",
                           "step1.pt ",
                           "step1.pt.bak",
                           "astep1.pt",
                           "Step1.pt",
                           "step1.PT",
                           "step1_pt",
                           "step1.0.pt",
                           "step0x1.pt",
                           "step18446744073709551616.pt",
                           "step99999999999999999999999.pt",
                           "latest"}) {
    EXPECT_EQ(StepOf(options, name), std::nullopt) << name;
  }
}

TEST(RotationNames, PrefixAndSuffixMayHoldDigitsOrBeEmpty) {
  RotationOptions options;
  options.prefix = "run2-";
  options.suffix = "00.pt";
  EXPECT_EQ(StepOf(options, "run2-700.pt"), 7u);
  EXPECT_EQ(StepOf(options, "run2-00.pt"), std::nullopt);
  options.prefix = "";
  options.suffix = ".pt";
  EXPECT_EQ(StepOf(options, "7.pt"), 7u);
  options.prefix = "step";
  options.suffix = "";
  EXPECT_EQ(StepOf(options, "step7"), 7u);
}

TEST(RotationNames, ATemporaryBelongsToItsCheckpoint) {
  const RotationOptions options;
  EXPECT_EQ(CheckpointOfTemporary(options, ".step7.pt.12-3.tmp"), "step7.pt");
  for (const char* name :
       {"", ".", "..", ".tmp", ".step7.pt", ".step7.pt.tmp", "step7.pt",
        ".step7.pt.12-3.tm", ".step07.pt.12-3.tmp", ".other.pt.12-3.tmp",
        "step7.pt.12-3.tmp", ".latest.12-3.tmp"}) {
    EXPECT_EQ(CheckpointOfTemporary(options, name), "") << name;
  }
}

TEST(RotationNames, OptionsThatMakeNoNamesAreRefused) {
  const auto refused = [](RotationOptions options, const char* why) {
    EXPECT_THAT(Rotation::Create("d", std::move(options)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused({.keep = 0}, "keep 0");
  refused({.prefix = "a/b"}, "'a/b'");
  refused({.suffix = "/b"}, "'/b'");
  refused({.latest = "../latest"}, "slash");
  refused({.suffix = std::string("a\0b", 3)}, "zero byte");
  refused({.prefix = std::string(181, 'p')}, "181");
  refused({.prefix = std::string(100, 'p'), .suffix = std::string(100, 's')},
          "no room");
  refused({.prefix = "", .suffix = ""}, "every number");
  refused({.prefix = ".step"}, "dot");
  refused({.latest = "."}, "dot");
  refused({.latest = ""}, "empty");
  refused({.latest = "step5.pt"}, "checkpoint's name");
  CAISSON_EXPECT_OK(Rotation::Create(
      "d", {.prefix = std::string(100, 'p'), .suffix = std::string(80, 's')}));
}

// Commit.

TEST_F(RotationTest, KeepsTheLastAndMovesThePointer) {
  Rotation rotation = Make({.keep = 2});
  for (const uint64_t step : {8, 9, 10, 11}) {  // 10 comes after 9
    PutSteps({step});
    EXPECT_EQ(rotation.PathFor(step), PathOf(step));
    CAISSON_ASSERT_OK(rotation.Commit(step));
    EXPECT_EQ(Link(), "step" + std::to_string(step) + ".pt");
    EXPECT_EQ(LatestOf(rotation), step);
    EXPECT_EQ(Content(scratch_ / "latest"), SmallFile(step));
  }
  EXPECT_THAT(StepsIn(rotation.List()), ElementsAre(10, 11));
  EXPECT_THAT(scratch_.Names(),
              ElementsAre("latest", "step10.pt", "step11.pt"));
}

TEST_F(RotationTest, NeverTouchesWhatIsNotItsOwn) {
  PutSteps({1, 2, 3, 4});
  std::vector<std::string> others = {
      ".hidden.1-1.tmp", ".step01.pt.1-1.tmp", "epoch1.pt", "notes",
      "step01.pt",       "step1.pt.bak",       "step1.txt"};
  for (const std::string& name : others) Put(scratch_ / name, name);
  fs::create_directory(scratch_ / "step0.pt");
  fs::create_symlink("notes", scratch_ / "step00.pt");
  CAISSON_ASSERT_OK(Make({.keep = 1}).Commit(4));
  for (const std::string& name : others) {
    EXPECT_EQ(Content(scratch_ / name), name);
  }
  EXPECT_TRUE(fs::is_directory(scratch_ / "step0.pt"));
  EXPECT_THAT(StepsIn(Make().List()), ElementsAre(4));
}

TEST_F(RotationTest, LeavesTheStepsAfterTheOneThatIsCommitted) {
  PutSteps({100, 200, 300, 400});
  Rotation rotation = Make({.keep = 2});
  CAISSON_ASSERT_OK(rotation.Commit(400));
  EXPECT_THAT(StepsIn(rotation.List()), ElementsAre(300, 400));
  // Rolled back: 310 and 320 are the new run's.
  for (const uint64_t step : {310, 320}) {
    PutSteps({step});
    CAISSON_ASSERT_OK(rotation.Commit(step));
    EXPECT_EQ(LatestOf(rotation), step);
  }
  EXPECT_THAT(StepsIn(rotation.List()), ElementsAre(310, 320, 400));
}

TEST_F(RotationTest, MayCommitAStepAgain) {
  PutSteps({1, 2});
  Rotation rotation = Make();
  CAISSON_ASSERT_OK(rotation.Commit(2));
  CAISSON_ASSERT_OK(rotation.Commit(2));
  EXPECT_EQ(LatestOf(rotation), 2u);
  CAISSON_ASSERT_OK(rotation.Commit(1));
  EXPECT_EQ(LatestOf(rotation), 1u);
  EXPECT_THAT(StepsIn(rotation.List()), ElementsAre(1, 2));
}

TEST_F(RotationTest, RemovesTemporariesOfDeadWriters) {
  PutSteps({1, 2});
  Put(scratch_ / ".step1.pt.1-1.tmp", "left");
  Put(scratch_ / ".step77.pt.1-1.tmp", "left");
  Put(scratch_ / ".latest.1-1.tmp", "left");
  fs::create_symlink("step1.pt", scratch_ / ".latest.1-2.tmp");
  CAISSON_ASSERT_OK(Make().Commit(2));
  EXPECT_THAT(scratch_.Names(), ElementsAre("latest", "step1.pt", "step2.pt"));
}

TEST_F(RotationTest, RefusesWhatIsNoCheckpoint) {
  Rotation rotation = Make();
  EXPECT_THAT(rotation.Commit(1),
              StatusIs(StatusCode::kNotFound, HasSubstr(PathOf(1))));
  fs::create_directory(PathOf(2));
  EXPECT_THAT(rotation.Commit(2),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(PathOf(2))));
  PutSteps({3});
  fs::create_symlink("step3.pt", PathOf(4));
  EXPECT_THAT(rotation.Commit(4),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(PathOf(4))));
  EXPECT_FALSE(fs::exists(scratch_ / "latest"));
  EXPECT_THAT(Rotation::Create(scratch_ / "no")->Commit(1),
              StatusIs(StatusCode::kNotFound, HasSubstr("/no")));
}

TEST_F(RotationTest, RefusesAPointerThatSomebodyElseMade) {
  PutSteps({1});
  Rotation rotation = Make();
  for (const std::string& content :
       {std::string(), std::string("notes"), std::string("step1.pt"),
        std::string("step1.pt\n\n"), std::string("step01.pt\n"),
        std::string("step1.pt\nstep2.pt\n"), SmallFile(1)}) {
    Put(scratch_ / "latest", content);
    EXPECT_THAT(rotation.Commit(1),
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(scratch_ / "latest"),
                               HasSubstr("somebody else"))));
    EXPECT_EQ(Content(scratch_ / "latest"), content);
  }
  fs::remove(scratch_ / "latest");
  fs::create_directory(scratch_ / "latest");
  EXPECT_THAT(rotation.Commit(1), StatusIs(StatusCode::kInvalidArgument));
  fs::remove(scratch_ / "latest");
  CAISSON_EXPECT_OK(rotation.Commit(1));
}

TEST_F(RotationTest, ChecksACheckpointIfAsked) {
  PutSteps({1, 2, 3});
  std::string damaged = SmallFile(3);
  damaged[damaged.find("data/0") + 200] ^= 1;
  Put(PathOf(3), damaged);
  Rotation rotation = Make({.keep = 1, .verify = true});
  CAISSON_ASSERT_OK(rotation.Commit(2));
  EXPECT_THAT(rotation.Commit(3),
              StatusIs(StatusCode::kCorrupt,
                       AllOf(HasSubstr(PathOf(3)), HasSubstr("data/0"))));
  EXPECT_EQ(Link(), "step2.pt");
  EXPECT_THAT(StepsIn(rotation.List()), ElementsAre(2, 3));
  CAISSON_EXPECT_OK(Make({.keep = 1}).Commit(3));
  EXPECT_EQ(Link(), "step3.pt");
}

// Latest.

TEST_F(RotationTest, LatestIsWhatThePointerNames) {
  PutSteps({1, 2, 3});
  CAISSON_ASSERT_OK(Make().Commit(2));
  const auto latest = Make().Latest();
  CAISSON_ASSERT_OK(latest);
  EXPECT_EQ(latest->step, 2u);
  EXPECT_EQ(latest->path, PathOf(2));
}

TEST_F(RotationTest, WithoutAGoodPointerLatestIsTheNewestThatIsWhole) {
  PutSteps({1, 2, 10, 20});
  Put(PathOf(20), SmallFile(20).substr(0, 300));
  EXPECT_EQ(LatestOf(Make()), 10u);
  for (const char* target : {"step5.pt", "notes", "/etc/passwd", "step02.pt",
                             "latest", "./step2.pt", "step20.pt/"}) {
    fs::create_symlink(target, scratch_ / "latest");
    EXPECT_EQ(LatestOf(Make()), 10u) << target;
    fs::remove(scratch_ / "latest");
  }
  Put(scratch_ / "latest", "step2.pt");  // no newline: not ours
  EXPECT_EQ(LatestOf(Make()), 10u);
}

TEST_F(RotationTest, ChecksLatestIfAsked) {
  PutSteps({1, 2});
  Put(PathOf(3), "damaged");
  CAISSON_ASSERT_OK(Make().Commit(3));
  EXPECT_EQ(LatestOf(Make()), 3u);
  EXPECT_EQ(LatestOf(Make({.verify = true})), 2u);
}

TEST_F(RotationTest, SaysWhyThereIsNoLatest) {
  EXPECT_THAT(Make().Latest(),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr(scratch_.path()), HasSubstr("stepN.pt"),
                             HasSubstr("there is none"))));
  Put(PathOf(1), "damaged");
  EXPECT_THAT(Make().Latest(),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr("none of 1"), HasSubstr(PathOf(1)))));
  EXPECT_THAT(Rotation::Create(scratch_ / "no")->Latest(),
              StatusIs(StatusCode::kNotFound, HasSubstr("/no")));
  EXPECT_THAT(Rotation::Create(scratch_ / "no")->List(),
              StatusIs(StatusCode::kNotFound, HasSubstr("/no")));
}

TEST_F(RotationTest, AnEmptyDirectoryIsTheCurrentOne) {
  const auto rotation = Rotation::Create("");
  CAISSON_ASSERT_OK(rotation);
  EXPECT_EQ(rotation->PathFor(1), "./step1.pt");
}

}  // namespace
}  // namespace caisson
