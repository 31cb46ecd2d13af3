// SPDX-License-Identifier: Apache-2.0
//
// A type of a user's own: serialised in three chunks, and back in any order.
#include <gtest/gtest.h>

#include "caisson/caffe2.h"
#include "tests/support/status_matchers.h"

namespace caisson::caffe2 {

struct Words : std::array<std::string, 3> {};

struct WordsSerializer : BlobSerializerBase {
  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions&) override {
    for (int i = 0; i < 3; ++i) {
      const BlobMessage chunk = {name, "Words", {}, (*blob.Get<Words>())[i],
                                 {},   3,       i,  {}};
      const auto key = name + "#%" + std::to_string(i);
      if (Status s = acceptor(key, *Encode(chunk)); !s.ok()) return s;
    }
    return Status::Ok();
  }
};

struct WordsDeserializer : BlobDeserializerBase {
  Status Deserialize(const BlobMessage& proto, Blob* blob) override {
    blob->GetMutable<Words>()->at(*proto.content_chunk_id) = *proto.content;
    return Status::Ok();
  }
};

REGISTER_BLOB_SERIALIZER((TypeId<Words>()), WordsSerializer);
REGISTER_BLOB_DESERIALIZER(Words, WordsDeserializer);

TEST(Caffe2UserType, ComesBackFromThreeChunks) {
  Blob blob, back;
  blob.Set(Words{{{"a", "b", "c"}}});
  std::vector<std::string> records;
  CAISSON_EXPECT_OK(
      SerializeBlob(blob, "w", [&](const std::string&, std::string data) {
        records.push_back(std::move(data));
        return Status::Ok();
      }));
  ASSERT_EQ(records.size(), 3u);
  for (const int i : {1, 2, 0}) {
    CAISSON_EXPECT_OK(DeserializeBlob(records[i], &back));
  }
  EXPECT_EQ(*back.Get<Words>(), *blob.Get<Words>());
  EXPECT_EQ(SerializeBlob(blob, "w").error().code(), StatusCode::kUnsupported);
}

}  // namespace caisson::caffe2
