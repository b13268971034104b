// Loading host objects: each load opens a private copy, so that global variables belong to one module.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "module.h"

namespace loretoken::sim {

namespace {

constexpr uint32_t kFatbinMagic = 0xBA55ED50, kFatbinWrapper = 0x466243B1;

// Length of an ELF image: the section headers are its last part, or the last segment is.
size_t elf_size(const unsigned char* image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  size_t end = header.e_shoff + static_cast<size_t>(header.e_shnum) * header.e_shentsize;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, image + header.e_phoff + static_cast<size_t>(i) * header.e_phentsize, sizeof segment);
    end = std::max<size_t>(end, segment.p_offset + segment.p_filesz);
  }
  return end;
}

CUresult classify(const void* data) {
  uint32_t magic = 0;
  std::memcpy(&magic, data, 4);
  if (magic == kFatbinMagic || magic == kFatbinWrapper) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  if (std::memcmp(data, ELFMAG, SELFMAG) == 0) {
    Elf64_Ehdr header;
    std::memcpy(&header, data, sizeof header);
    if (header.e_machine == 190) return CUDA_ERROR_NO_BINARY_FOR_GPU;  // EM_CUDA: a cubin
    const bool ours = header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_type == ET_DYN;
    return ours ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
  }
  const char* text = static_cast<const char*>(data);
  while (*text == ' ' || *text == '\n' || *text == '\t' || *text == '\r') ++text;
  const bool ptx = std::strncmp(text, "//", 2) == 0 || std::strncmp(text, ".version", 8) == 0;
  return ptx ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_ERROR_INVALID_IMAGE;
}

bool write_all(int fd, const char* data, size_t size) {
  while (size) {
    const ssize_t n = write(fd, data, size);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

Image::~Image() {
  dlclose(handle_);
  close(file_);
}

std::shared_ptr<Image> open_image(const void* data, CUresult& error) {
  error = data ? classify(data) : CUDA_ERROR_INVALID_VALUE;
  if (error != CUDA_SUCCESS) return nullptr;
  error = CUDA_ERROR_INVALID_IMAGE;
  const int fd = memfd_create("loretoken-sim-module", MFD_CLOEXEC);
  if (fd < 0) return nullptr;
  void* handle = nullptr;
  if (write_all(fd, static_cast<const char*>(data), elf_size(static_cast<const unsigned char*>(data)))) {
    // The loader takes a name that it has met for the library that it knows by it, before it looks at the file: the
    // descriptor stays open while the library is loaded, so that no other gets its number and with it its name.
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  auto* table = handle ? static_cast<const LtHostModule*>(dlsym(handle, "lt_host_module")) : nullptr;
  if (!table || table->abi_version != 1) {
    if (handle) dlclose(handle);
    close(fd);
    return nullptr;
  }
  error = CUDA_SUCCESS;
  return std::make_shared<Image>(handle, fd, table);
}

std::shared_ptr<Image> open_file(const char* path, CUresult& error) {
  if (!path) return error = CUDA_ERROR_INVALID_VALUE, nullptr;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error = CUDA_ERROR_FILE_NOT_FOUND, nullptr;
  struct stat info {};
  std::shared_ptr<Image> image;
  error = CUDA_ERROR_INVALID_IMAGE;
  if (fstat(fd, &info) == 0 && info.st_size >= static_cast<off_t>(sizeof(Elf64_Ehdr))) {
    const auto size = static_cast<size_t>(info.st_size);
    void* view = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (view != MAP_FAILED) {
      image = open_image(view, error);
      munmap(view, size);
    }
  }
  close(fd);
  return image;
}

}  // namespace loretoken::sim
