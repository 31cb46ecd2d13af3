// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/net_def.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <climits>
#include <map>
#include <utility>

#include "core/base/status_macros.h"
#include "core/formats/caffe2/caffe2.pb.h"

namespace caisson::caffe2 {
namespace {

namespace pb = google::protobuf;

class NoPrint : public pb::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

bool Parse(std::string_view bytes, bool text, NetDef* net) {
  if (bytes.size() > INT_MAX) return false;
  const int size = static_cast<int>(bytes.size());
  if (!text) {
    return net->ParsePartialFromArray(bytes.data(), size) &&
           net->IsInitialized();
  }
  NoPrint errors;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(100);
  pb::io::ArrayInputStream stream(bytes.data(), size);
  return parser.Parse(&stream, net);
}

// Operators whose argument `values` are the elements, and of what type.
const std::map<std::string, DataType>& Fills() {
  static const std::map<std::string, DataType> kFills = {
      {"GivenTensorFill", DataType::kFloat},
      {"GivenTensorDoubleFill", DataType::kDouble},
      {"GivenTensorBoolFill", DataType::kBool},
      {"GivenTensorInt16Fill", DataType::kInt16},
      {"GivenTensorIntFill", DataType::kInt32},
      {"GivenTensorInt64Fill", DataType::kInt64},
      {"GivenTensorByteStringToUInt8Fill", DataType::kUInt8},
  };
  return kFills;
}

const Argument* Find(const OperatorDef& op, std::string_view name) {
  for (const Argument& arg : op.arg()) {
    if (arg.name() == name) return &arg;
  }
  return nullptr;
}

TensorMessage TensorOf(const OperatorDef& op, DataType type,
                       const Argument& shape, const Argument* values) {
  TensorMessage tensor;
  tensor.name = op.output(0);
  tensor.data_type = type;
  tensor.dims.assign(shape.ints().begin(), shape.ints().end());
  if (values == nullptr) return tensor;
  switch (type) {
    case DataType::kFloat:
      tensor.float_data.assign(values->floats().begin(),
                               values->floats().end());
      break;
    case DataType::kDouble:
      tensor.double_data.assign(values->floats().begin(),
                                values->floats().end());
      break;
    case DataType::kInt64:
      tensor.int64_data.assign(values->ints().begin(), values->ints().end());
      break;
    case DataType::kUInt8:
      tensor.byte_data.emplace();
      for (const std::string& bytes : values->strings()) {
        *tensor.byte_data += bytes;
      }
      break;
    default:
      for (const int64_t value : values->ints()) {
        tensor.int32_data.push_back(static_cast<int32_t>(value));
      }
  }
  return tensor;
}

}  // namespace

Result<NetFills> ParseNet(std::string_view bytes, bool text) {
  NetDef net;
  if (!Parse(bytes, text, &net)) return Status::Corrupt("no NetDef");
  if (net.op().empty()) return Status::Corrupt("a NetDef without operators");
  NetFills fills;
  for (int i = 0; i < net.op_size(); ++i) {
    const OperatorDef& op = net.op(i);
    const std::string what =
        "operator " + std::to_string(i) + " '" + op.type() + "'";
    const auto fill = Fills().find(op.type());
    if (fill == Fills().end()) {
      fills.others.push_back(what);
      continue;
    }
    const Argument* shape = Find(op, "shape");
    if (shape == nullptr || op.output_size() != 1) {
      return Status::Corrupt(what + ": expected a shape and one output");
    }
    fills.tensors.push_back(
        TensorOf(op, fill->second, *shape, Find(op, "values")));
  }
  return fills;
}

}  // namespace caisson::caffe2
