#ifndef LORETOKEN_TRAIN_NETWORK_H
#define LORETOKEN_TRAIN_NETWORK_H

#include <vector>

#include "cuda_api.h"
#include "options.h"

namespace loretoken::train {

struct Tensor {
  CUdeviceptr address = 0;
  uint64_t bytes = 0;
};

// A perceptron of equal layers that learns to give back its input (mean squared error), trained by AdamW. All work goes
// to one stream; nothing waits for it but `loss`.
class Network {
 public:
  Network(Device& device, CUstream stream, const Options& options);

  // x: [batch][width] floats. The result is in place for `backward`.
  void forward(CUdeviceptr x);
  // anchor: width·width bf16 values the first layer decays towards, or 0.
  void backward(CUdeviceptr x, CUdeviceptr anchor);

  float loss();  // of the last `backward`; waits for the stream

  const Tensor& hidden() const { return outputs_.front(); }  // of the first layer, behind its ReLU
  const Tensor& first_gradient() const { return layers_.front().weight_gradient; }
  std::vector<Tensor> tensors() const;

 private:
  struct Layer {
    Tensor weight, weight_m, weight_v, weight_gradient;
    Tensor bias, bias_m, bias_v, bias_gradient;
  };
  Tensor make(uint64_t floats);
  void update(const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& g, CUdeviceptr anchor);

  Device& device_;
  CUstream stream_;
  uint32_t batch_, width_;
  uint32_t step_ = 0;
  std::vector<Layer> layers_;
  std::vector<Tensor> outputs_;  // per layer
  Tensor gradient_[2], row_loss_, loss_;
  CUfunction forward_, loss_kernel_, mean_loss_, backward_input_, backward_weights_, adamw_;
};

}  // namespace loretoken::train

#endif  // LORETOKEN_TRAIN_NETWORK_H
