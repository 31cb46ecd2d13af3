// SPDX-License-Identifier: Apache-2.0
#include "tests/formats/golden_states.h"

#include <gtest/gtest.h>

#include <complex>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <utility>

namespace caisson {
namespace {

template <class T>
TensorView TensorOf(DType dtype, std::vector<int64_t> shape,
                    std::vector<T> values) {
  auto owner = std::make_shared<std::vector<T>>(std::move(values));
  return DenseTensor(dtype, std::move(shape), owner->data(), owner);
}

TensorView ViewOf(TensorView base, std::vector<int64_t> shape,
                  std::vector<int64_t> strides, uint64_t offset) {
  base.spec.shape = std::move(shape);
  base.strides = std::move(strides);
  base.offset = offset;
  return base;
}

// torch.arange(6, dtype=float32).reshape(2, 3)
TensorView G1() {
  return TensorOf<float>(DType::kFloat32, {2, 3}, {0, 1, 2, 3, 4, 5});
}

Node G2() {
  Dict dict(/*is_ordered=*/true);
  dict["w"] = G1();
  dict["b"] = TensorOf<uint16_t>(DType::kBFloat16, {3},
                                 {0x3f80, 0xc000, 0x3f00});  // 1, -2, 0.5
  return dict;
}

Node G3() {
  const TensorView base =
      TensorOf<int64_t>(DType::kInt64, {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  return List{{ViewOf(base, {3}, {2}, 2),        // base[2:8:2]
               ViewOf(base, {5, 2}, {1, 5}, 0),  // base.view(2, 5).t()
               TensorOf<float>(DType::kFloat32, {0, 3}, {}),
               TensorOf<double>(DType::kFloat64, {}, {2.5})}};
}

Node G4() {
  const std::byte two64[9] = {{}, {}, {}, {}, {}, {}, {}, {}, std::byte{1}};
  Node root = Dict();
  root["i"] = List{{0, 255, 256, 65535, 65536, -1, 2147483647, 2147483648,
                    -2147483648, std::numeric_limits<int64_t>::max(),
                    std::numeric_limits<int64_t>::min(),
                    Integer::FromTwosComplement(two64)}};
  root["f"] = 1.5;
  root["b"] = Tuple{{true, false, Node()}};
  root["s"] = "h\xc3\xa9";
  root["y"] = Bytes{std::string("\0\xff", 2)};
  root["t4"] = Tuple{{1, 2, 3, 4}};
  root["t1"] = Tuple{{1}};
  root["t0"] = Tuple();
  root["d"] = Dict();
  root["l"] = List();
  return root;
}

// An untyped storage has the bytes of the file on every machine.
Node G5() {
  Node root = Dict();
  root["u16"] = TensorOf<uint8_t>(DType::kUInt16, {2}, {1, 0, 255, 255});
  root["f8"] = TensorOf<uint8_t>(DType::kFloat8E4M3Fn, {2}, {0x38, 0xc0});
  return root;
}

Node G6() {
  TensorView view =
      TensorOf<std::complex<float>>(DType::kComplex64, {1}, {{1, 2}});
  view.conj = true;
  return view;
}

}  // namespace

State GoldenState(int n) {
  State state;
  switch (n) {
    case 1:
      state.root = G1();
      break;
    case 2:
      state.root = G2();
      break;
    case 3:
      state.root = G3();
      break;
    case 4:
      state.root = G4();
      break;
    case 5:
      state.root = G5();
      break;
    case 6:
      state.root = G6();
      break;
  }
  return state;
}

std::string GoldenFile(int n) {
  const std::string path = std::string(CAISSON_TEST_DATA) + "/golden/g" +
                           std::to_string(n) + "_torch_2_13.pt";
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

const std::vector<Golden>& Goldens() {
  static const std::vector<Golden> kGoldens = {
      {1,
       {747,
        "51ef9ed607fa7864ac3edaeb8dc4890d658ad11488a0101470806bac476fcedc"},
       {1180,
        "31c46feaa57f852c4c96d1c2439d7c6b08a60346267bba48e98576b34c057c4a"},
       {1377,
        "04effc657007ee6f65fe455857dabd0540e531af2ccaccc98bf55a40e54d3e51"},
       {1577,
        "bd622637ced8d4ed014b7c438eb26ceba72017558225be77c4f58f3a03333a5c"},
       {{"data.pkl", 0, 64, 154, 0x275373c7},
        {"byteorder", 234, 320, 6, 0x19e33d85},
        {"data/0", 342, 448, 24, 0x91e79017},
        {"version", 488, 576, 2, 0x55679ed1},
        {".data/serialization_id", 594, 704, 40, 0x70cd3583}}},
      {2,
       {999,
        "e0e917ef8c58db7db5a3754b29ae475ee584f76bd29c709b57e23046ead9cfbe"},
       {1432,
        "746c2801eb2e89616b7b78dda3eec8e45fec1605996ceef945e68e0aa49c13bc"},
       {1693,
        "99d144d25ae6828d468289d1ab5173d53d602e804364811b964d047c4e894d0a"},
       {1893,
        "655a555bc6c60eedec07fc4e4fb0030b2125685c7352e4e5d79447e0dfc052c3"},
       {{"data.pkl", 0, 64, 250, 0x8d278daf},
        {"byteorder", 330, 384, 6, 0x19e33d85},
        {"data/0", 406, 512, 24, 0x91e79017},
        {"data/1", 552, 640, 6, 0xabca2151},
        {"version", 662, 768, 2, 0x55679ed1},
        {".data/serialization_id", 786, 896, 40, 0x31003531}}},
      {3,
       {1315,
        "7f323deee5fa44659b3953a499e4fcbdad5f2fc7199de8e8bd99476114d532dd"},
       {1748,
        "15968ea4a3b05dff176d9d9fd8f1dc1fe56d8b8182097edfe6305579393cc9f2"},
       {1945,
        "ba4e4e6f27a4ce6c00a378258aeca93381cba127956ea8bbe4531b3a288d63c2"},
       {2145,
        "d02a3f812ffe280f1cd4e442f498ee5f77f3bc7a35b42512b8c67f60f6e01d81"},
       {{"data.pkl", 0, 64, 336, 0xb325ac2c},
        {"byteorder", 416, 512, 6, 0x19e33d85},
        {"data/0", 534, 640, 80, 0x5e85e4a4},
        {"data/1", 736, 832, 0, 0x00000000},
        {"data/2", 832, 896, 8, 0x77925bfd},
        {"version", 920, 1024, 2, 0x55679ed1},
        {".data/serialization_id", 1042, 1152, 40, 0x8584a4d4}}},
      {4,
       {687,
        "906e397c068652cead1971679db688ad6aed63a85b17f7c0ee41968331a25130"},
       {1120,
        "5025919534a54e1684c52e53aa1d913db31ee713162f71c5afb2e964c51330da"},
       {1317,
        "a6e45d1683092c5447be96510ed9b61bc783d76c0b67846b9128e21607dd192a"},
       {1517,
        "1bb9104b31bb35ebe7699fcc2fe5df21efb43c4474b1a1e5238804bc4a21bd3f"},
       {{"data.pkl", 0, 64, 260, 0x47b55168},
        {"byteorder", 340, 448, 6, 0x19e33d85},
        {"version", 470, 576, 2, 0x55679ed1},
        {".data/serialization_id", 594, 704, 40, 0x45e4dcab}}},
      {5,
       {0, ""},
       {1496,
        "2b193e569d53ad9a5f8984940f879296d8a09b576e248f72a1a312d588d2cae1"},
       {1693,
        "83de2ed15c3cdf521fa5e8bd2eaf853bf5369acfcf6b438d9caddad0b932ffe2"},
       {1893,
        "a09428d8e99d0175af540756586f4c3c58d0ce0b8f438f69de6ddbaadda054d9"},
       {{"data.pkl", 0, 64, 272, 0xb2f225c6},
        {"byteorder", 352, 448, 6, 0x19e33d85},
        {"data/0", 470, 576, 4, 0x27deaa86},
        {"data/1", 596, 704, 2, 0xcd226cb4},
        {"version", 722, 832, 2, 0x55679ed1},
        {".data/serialization_id", 850, 960, 40, 0xd8dfed54}}},
      {6,
       {747,
        "a4a28a481552a7b27ee0c9119b7d5db9baf2094ab988b251c273da8ca6d7edc7"},
       {1180,
        "b484c665ea06e66225abbbd867c68b067653a76b433b24411c000dfdc57d3980"},
       {1377,
        "e9366cd358590ce4c51caafb39c4a13521ecdffed30b20cf81a6f220121ef1d3"},
       {1577,
        "e7c30bf5ca49a405b795ce847ea2f23b0738267a79a9891f7eb571d1a43ecd73"},
       {{"data.pkl", 0, 64, 173, 0xf193d43d},
        {"byteorder", 253, 320, 6, 0x19e33d85},
        {"data/0", 342, 448, 8, 0x2e3fa576},
        {"version", 472, 576, 2, 0x55679ed1},
        {".data/serialization_id", 594, 704, 40, 0xf1b3592e}}},
  };
  return kGoldens;
}

}  // namespace caisson
