#include "network.h"

#include <cmath>

namespace loretoken::train {

namespace {
constexpr float kRate = 1e-3f, kDecay = 1e-2f;
constexpr uint64_t kLane = 8;  // elements per thread of the backward kernels
}  // namespace

Network::Network(Device& device, CUstream stream, const Options& options)
    : device_(device), stream_(stream), batch_(options.batch), width_(options.width) {
  forward_ = device.kernel("train_forward");
  loss_kernel_ = device.kernel("train_loss");
  mean_loss_ = device.kernel("train_mean_loss");
  backward_input_ = device.kernel("train_backward_input");
  backward_weights_ = device.kernel("train_backward_weights");
  adamw_ = device.kernel("train_adamw");
  const CUfunction init = device.kernel("train_init_weights");
  const uint64_t square = uint64_t{width_} * width_, rows = uint64_t{batch_} * width_;
  const float deviation = std::sqrt(2.0f / static_cast<float>(width_));
  for (uint32_t i = 0; i < options.layers; ++i) {
    layers_.push_back({make(square), make(square), make(square), make(square), make(width_), make(width_), make(width_),
                       make(width_)});
    outputs_.push_back(make(rows));
    launch(init, stream_, square, layers_.back().weight.address, square, deviation,
           uint64_t{options.seed * 1000003 + i * square});
  }
  for (Tensor& gradient : gradient_) gradient = make(rows);
  row_loss_ = make(batch_);
  loss_ = make(2);
}

// Rounded up to whole 8-byte words, so that contents can be hashed.
Tensor Network::make(uint64_t floats) {
  const uint64_t bytes = (floats * sizeof(float) + 7) / 8 * 8;
  return {device_.allocate(bytes, stream_), bytes};
}

void Network::forward(CUdeviceptr x) {
  const uint64_t elements = uint64_t{batch_} * width_;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const CUdeviceptr input = i ? outputs_[i - 1].address : x;
    const uint32_t relu = i + 1 < layers_.size();
    launch(forward_, stream_, elements, outputs_[i].address, input, layers_[i].weight.address, layers_[i].bias.address,
           batch_, width_, relu);
  }
}

void Network::backward(CUdeviceptr x, CUdeviceptr anchor) {
  ++step_;
  const uint64_t elements = uint64_t{batch_} * width_, square = uint64_t{width_} * width_;
  int now = 0;
  launch(loss_kernel_, stream_, batch_, gradient_[now].address, row_loss_.address, outputs_.back().address, x, batch_,
         width_);
  launch(mean_loss_, stream_, 1, loss_.address, row_loss_.address, batch_, width_);
  for (size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    const CUdeviceptr input = i ? outputs_[i - 1].address : x, gradient = gradient_[now].address;
    launch(backward_weights_, stream_, square / kLane, layer.weight_gradient.address, layer.bias_gradient.address,
           gradient, input, batch_, width_);
    if (i > 0) {
      launch(backward_input_, stream_, elements / kLane, gradient_[1 - now].address, gradient, layer.weight.address,
             input, batch_, width_);
      now = 1 - now;
    }
    update(layer.weight, layer.weight_m, layer.weight_v, layer.weight_gradient, i ? 0 : anchor);
    update(layer.bias, layer.bias_m, layer.bias_v, layer.bias_gradient, 0);
  }
}

void Network::update(const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& g, CUdeviceptr anchor) {
  const uint64_t count = p.bytes / sizeof(float);
  const float correction1 = 1.0f - std::pow(0.9f, static_cast<float>(step_));
  const float correction2 = 1.0f - std::pow(0.999f, static_cast<float>(step_));
  launch(adamw_, stream_, count, p.address, m.address, v.address, g.address, anchor, count, kRate, kDecay, correction1,
         correction2);
}

float Network::loss() {
  float value = 0;
  CUDA_CALL(cuStreamSynchronize)(stream_);
  CUDA_CALL(cuMemcpyDtoH)(static_cast<void*>(&value), loss_.address, sizeof value);
  return value;
}

std::vector<Tensor> Network::tensors() const {
  std::vector<Tensor> all;
  for (const Layer& layer : layers_)
    for (const Tensor& tensor : {layer.weight, layer.weight_m, layer.weight_v, layer.weight_gradient, layer.bias,
                                 layer.bias_m, layer.bias_v, layer.bias_gradient})
      all.push_back(tensor);
  for (const Tensor& output : outputs_) all.push_back(output);
  for (const Tensor& tensor : {gradient_[0], gradient_[1], row_loss_, loss_}) all.push_back(tensor);
  return all;
}

}  // namespace loretoken::train
