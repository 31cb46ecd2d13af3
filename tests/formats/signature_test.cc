// SPDX-License-Identifier: Apache-2.0
#include "core/formats/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/golden_archives.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using std::string_literals::operator""s;

std::span<const std::byte> Head(const std::string& file) {
  return std::as_bytes(std::span(file))
      .first(std::min(file.size(), kSignatureBytes));
}

Signature RecogniseText(const std::string& file) {
  return Recognise(Head(file));
}

Status Describe(const std::string& file) {
  return DescribeForeign("model.pt", Head(file));
}

const std::string kLegacyMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"s;

std::string Tar() {
  std::string tar(1024, '\0');
  tar.replace(0, 8, "storages");
  tar.replace(257, 6, "ustar\0"s);
  return tar;
}

std::string Safetensors(uint64_t header_bytes) {
  return Le64(header_bytes) + "{\"w\":{}}" + std::string(100, ' ');
}

TEST(Signature, RecognisesEveryZipByItsFirstFourBytes) {
  for (const GoldenArchive& golden : GoldenArchives()) {
    EXPECT_EQ(RecogniseText(golden.bytes), Signature::kZip) << golden.name;
  }
  EXPECT_EQ(RecogniseText("PK\3\4"), Signature::kZip);
}

TEST(Signature, RefusesPyTorchsPreviewFormat) {
  EXPECT_THAT(Describe("PYTORCH1........"),
              StatusIs(StatusCode::kUnsupported,
                       AllOf(StartsWith("model.pt: "), HasSubstr("preview"))));
}

TEST(Signature, RefusesLegacyTorchSave) {
  EXPECT_EQ(RecogniseText(kLegacyMagic + "\x80\x02M\xe9\x03."),
            Signature::kLegacyTorch);
  EXPECT_THAT(Describe(kLegacyMagic),
              StatusIs(StatusCode::kUnsupported,
                       HasSubstr("legacy torch.save (before 1.6")));
}

// test_serialization_fake_zip: Python's zipfile takes such a file for a zip.
TEST(Signature, DoesNotTakeALegacyTensorWithAnEndRecordInItForAZip) {
  EXPECT_EQ(RecogniseText(kLegacyMagic + "PK\5\6" + std::string(18, '\0')),
            Signature::kLegacyTorch);
}

TEST(Signature, RefusesTar) {
  EXPECT_EQ(RecogniseText(Tar()), Signature::kTar);
  EXPECT_THAT(Describe(Tar()),
              StatusIs(StatusCode::kUnsupported, HasSubstr("legacy tar, not "
                                                           "supported")));
}

TEST(Signature, RefusesOtherPickles) {
  for (const char protocol : {2, 3, 4, 5}) {
    EXPECT_THAT(Describe("\x80"s + protocol + "}q\0."s),
                StatusIs(StatusCode::kUnsupported, HasSubstr("a pickle")));
  }
}

TEST(Signature, RefusesSafetensors) {
  EXPECT_THAT(Describe(Safetensors(8)),
              StatusIs(StatusCode::kUnsupported, HasSubstr("safetensors")));
}

TEST(Signature, TakesALengthForALengthWhateverItLooksLike) {
  EXPECT_EQ(RecogniseText(Safetensors(0x088b1f)), Signature::kSafetensors);
  EXPECT_EQ(RecogniseText(Safetensors(0x0280)), Signature::kSafetensors);
  EXPECT_EQ(RecogniseText(Safetensors(100'000'000)), Signature::kSafetensors);
  EXPECT_EQ(RecogniseText(Safetensors(100'000'001)), Signature::kUnknown);
}

TEST(Signature, RefusesHdf5) {
  EXPECT_THAT(Describe("\x89HDF\r\n\x1a\n\0\0\0\0"s),
              StatusIs(StatusCode::kUnsupported, HasSubstr("HDF5")));
}

TEST(Signature, RefusesGzip) {
  EXPECT_THAT(Describe("\x1f\x8b\x08\0\0\0\0\0\0\3"s),
              StatusIs(StatusCode::kUnsupported, HasSubstr("gzip")));
}

TEST(Signature, RefusesAGitLfsPointer) {
  EXPECT_THAT(Describe("version https://git-lfs.github.com/spec/v1\n"
                       "oid sha256:4d7a\nsize 12345\n"),
              StatusIs(StatusCode::kUnsupported, HasSubstr("git lfs pull")));
}

TEST(Signature, RefusesAZipWithoutRecords) {
  EXPECT_THAT(Describe(ZipBuilder(ZipStyle::kPython).Build()),
              StatusIs(StatusCode::kCorrupt, HasSubstr("without records")));
}

TEST(Signature, RefusesAnEmptyFile) {
  EXPECT_THAT(Describe(""),
              StatusIs(StatusCode::kCorrupt, HasSubstr("the file is empty")));
}

TEST(Signature, RefusesFilesOfOneToThreeBytes) {
  for (const std::string file : {"P", "PK", "PK\3", "\x80\x02"}) {
    EXPECT_EQ(RecogniseText(file), Signature::kTooShort);
    EXPECT_THAT(Describe(file),
                StatusIs(StatusCode::kCorrupt,
                         HasSubstr("ends after " + std::to_string(file.size()) +
                                   " byte")));
  }
}

TEST(Signature, NamesTheFirstBytesOfWhatItDoesNotKnow) {
  EXPECT_THAT(Describe("<!DOCTYPE html>"),
              StatusIs(StatusCode::kUnsupported,
                       HasSubstr("expected a zip archive (504b0304), found "
                                 "3c21444f")));
}

TEST(Signature, LooksAtNoByteThatIsNotThere) {
  const std::vector<std::string> files = {"PK\3\4aaaa",
                                          "PYTORCH1",
                                          kLegacyMagic,
                                          Tar(),
                                          Safetensors(8),
                                          "\x89HDF\r\n\x1a\n"s,
                                          "version https://git-lfs"};
  for (const std::string& file : files) {
    for (size_t bytes = 0; bytes <= std::min<size_t>(file.size(), 512);
         ++bytes) {
      // A vector of its own, so that the address sanitizer sees its end.
      const std::vector<char> head(file.begin(), file.begin() + bytes);
      const Signature signature = Recognise(std::as_bytes(std::span(head)));
      EXPECT_EQ(signature == Signature::kEmpty, bytes == 0);
    }
  }
}

}  // namespace
}  // namespace caisson
