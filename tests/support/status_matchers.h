// SPDX-License-Identifier: Apache-2.0
//
// GoogleMock matchers for Status and Result, and how both print in a failure.
//
//   CAISSON_ASSERT_OK(writer.Finish());
//   EXPECT_THAT(Parse(bytes), StatusIs(StatusCode::kCorrupt,
//                                      HasSubstr("offset 12")));
//   EXPECT_THAT(Find("a"), IsOkAndHolds(Eq(3)));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "caisson/status.h"

namespace caisson {

inline void PrintTo(const Status& status, std::ostream* os) {
  *os << status.ToString();
}

template <class T>
void PrintTo(const Result<T>& result, std::ostream* os) {
  if (result.has_value()) {
    *os << "ok: " << ::testing::PrintToString(*result);
  } else {
    *os << result.error().ToString();
  }
}

inline const Status& StatusOf(const Status& status) { return status; }

template <class T>
Status StatusOf(const Result<T>& result) {
  return result.status();
}

// An OK Status, or a Result that holds a value.
MATCHER(IsOk, negation ? "is an error" : "is OK") { return StatusOf(arg).ok(); }

// An error with this code.
MATCHER_P(StatusIs, code,
          (negation ? "has no status \"" : "has the status \"") +
              std::string(Name(code)) + "\"") {
  return StatusOf(arg).code() == code;
}

// An error with this code and a message that `message` matches.
MATCHER_P2(StatusIs, code, message,
           (negation ? "has no status \"" : "has the status \"") +
               std::string(Name(code)) + "\" with a message that " +
               ::testing::DescribeMatcher<std::string>(message)) {
  const Status status = StatusOf(arg);
  return status.code() == code &&
         ::testing::ExplainMatchResult(message, std::string(status.message()),
                                       result_listener);
}

// A Result with a value that `value` matches.
MATCHER_P(
    IsOkAndHolds, value,
    (negation ? "holds no value that " : "holds a value that ") +
        ::testing::DescribeMatcher<typename std::decay_t<arg_type>::value_type>(
            value)) {
  return arg.has_value() &&
         ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace caisson

#define CAISSON_ASSERT_OK(expression) \
  ASSERT_THAT((expression), ::caisson::IsOk())
#define CAISSON_EXPECT_OK(expression) \
  EXPECT_THAT((expression), ::caisson::IsOk())

// Moves the value of a Result into `declaration`, or fails the test.
//   CAISSON_ASSERT_OK_AND_ASSIGN(const Layout layout, Parse(bytes));
#define CAISSON_ASSERT_OK_AND_ASSIGN(declaration, expression)                  \
  CAISSON_ASSERT_OK_AND_ASSIGN_(CAISSON_TEST_NAME_(caisson_result_, __LINE__), \
                                declaration, expression)
#define CAISSON_ASSERT_OK_AND_ASSIGN_(result, declaration, expression) \
  auto result = (expression);                                          \
  ASSERT_THAT(result, ::caisson::IsOk());                              \
  declaration = *std::move(result)
#define CAISSON_TEST_NAME_(prefix, line) CAISSON_TEST_PASTE_(prefix, line)
#define CAISSON_TEST_PASTE_(prefix, line) prefix##line
