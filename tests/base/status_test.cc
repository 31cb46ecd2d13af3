// SPDX-License-Identifier: Apache-2.0
#include "caisson/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::HasSubstr;

TEST(Status, IsOkByDefaultAndCarriesNothing) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.ToString(), "ok");
}

TEST(Status, MakersGiveTheirCode) {
  EXPECT_TRUE(Status::Ok().ok());
  const std::pair<Status, StatusCode> kCases[] = {
      {Status::InvalidArgument("m"), StatusCode::kInvalidArgument},
      {Status::NotFound("m"), StatusCode::kNotFound},
      {Status::Corrupt("m"), StatusCode::kCorrupt},
      {Status::Unsupported("m"), StatusCode::kUnsupported},
      {Status::Unavailable("m"), StatusCode::kUnavailable},
      {Status::OutOfMemory("m"), StatusCode::kOutOfMemory},
      {Status::Io("m"), StatusCode::kIo},
      {Status::DeviceError("m"), StatusCode::kDevice},
      {Status::Cancelled("m"), StatusCode::kCancelled},
  };
  for (const auto& [status, code] : kCases) {
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), "m");
    EXPECT_EQ(status.ToString(), std::string(Name(code)) + ": m");
  }
}

TEST(Status, NamesDifferAndAreLowerCase) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(StatusCode::kCancelled); ++code) {
    const std::string_view name = Name(static_cast<StatusCode>(code));
    EXPECT_TRUE(names.insert(name).second) << name;
    for (const char c : name) EXPECT_FALSE(c >= 'A' && c <= 'Z') << name;
  }
  EXPECT_EQ(Name(static_cast<StatusCode>(200)), "unknown");
}

TEST(Status, MadeWithTheCodeOkDropsItsMessage) {
  const Status status(StatusCode::kOk, "lost");
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.message(), "");
}

TEST(Status, PutsContextBeforeTheMessageAndKeepsTheCode) {
  const Status status = Status::Io("read failed");
  const Status framed = status.WithContext("record 'a'").WithContext("x.pt");
  EXPECT_EQ(framed.code(), StatusCode::kIo);
  EXPECT_EQ(framed.message(), "x.pt: record 'a': read failed");
  EXPECT_EQ(status.message(), "read failed");
  EXPECT_TRUE(Status::Ok().WithContext("x.pt").ok());
}

TEST(Status, CopiesKeepTheMessageAlive) {
  Status copy;
  {
    const Status status = Status::Corrupt("long enough not to be inline, so");
    copy = status;
  }
  EXPECT_EQ(copy.message(), "long enough not to be inline, so");
}

TEST(Result, HoldsAValue) {
  Result<std::string> result = std::string("abc");
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(static_cast<bool>(result));
  EXPECT_TRUE(result.status().ok());
  EXPECT_EQ(*result, "abc");
  EXPECT_EQ(result->size(), 3u);
  *result += "d";
  const std::string moved = *std::move(result);
  EXPECT_EQ(moved, "abcd");
}

TEST(Result, HoldsAnError) {
  const Result<std::string> result = Status::NotFound("gone");
  EXPECT_FALSE(result.has_value());
  EXPECT_FALSE(static_cast<bool>(result));
  EXPECT_EQ(result.error().code(), StatusCode::kNotFound);
  EXPECT_EQ(result.status().message(), "gone");
}

TEST(Result, HoldsWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> value = *std::move(result);
  EXPECT_EQ(*value, 7);
}

Result<int> Half(int value) {
  if (value % 2 != 0) return Status::InvalidArgument("odd");
  return value / 2;
}

Status QuarterInto(int value, int* quarter) {
  CAISSON_ASSIGN_OR_RETURN(const int half, Half(value));
  CAISSON_ASSIGN_OR_RETURN(*quarter, Half(half));
  CAISSON_RETURN_IF_ERROR(Half(2 * *quarter).status());
  return Status::Ok();
}

TEST(StatusMacros, ReturnTheFirstErrorAndElseGoOn) {
  int quarter = -1;
  CAISSON_EXPECT_OK(QuarterInto(12, &quarter));
  EXPECT_EQ(quarter, 3);
  EXPECT_THAT(QuarterInto(6, &quarter),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("odd")));
  EXPECT_EQ(quarter, 3);
}

}  // namespace
}  // namespace caisson
