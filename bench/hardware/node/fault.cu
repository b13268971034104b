// Writes where nothing is: the driver reports an XID that says nothing about the card's health.
#include <cstdio>

__global__ void touch(int* address) {
  *address = 1;
}

int main() {
  touch<<<1, 1>>>(reinterpret_cast<int*>(8));
  std::printf("%s\n", cudaGetErrorName(cudaDeviceSynchronize()));
}
