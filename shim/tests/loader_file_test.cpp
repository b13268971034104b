// libloretoken.so as a file: what it exports, needs, and defines in its place.
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

class ElfFile {
 public:
  explicit ElfFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    bytes_ = content.str();
  }
  bool valid() const { return bytes_.size() > sizeof(ElfW(Ehdr)) && std::memcmp(bytes_.data(), ELFMAG, SELFMAG) == 0; }

  template <class T>
  const T* at(size_t offset) const {
    return reinterpret_cast<const T*>(bytes_.data() + offset);
  }
  const ElfW(Shdr) * section(uint32_t type) const {
    const auto* header = at<ElfW(Ehdr)>(0);
    for (int i = 0; i < header->e_shnum; ++i) {
      const auto* section = at<ElfW(Shdr)>(header->e_shoff + static_cast<size_t>(i) * header->e_shentsize);
      if (section->sh_type == type) return section;
    }
    return nullptr;
  }
  const char* text_of(const ElfW(Shdr) * section, size_t offset) const {
    const auto* header = at<ElfW(Ehdr)>(0);
    const auto* strings = at<ElfW(Shdr)>(header->e_shoff + section->sh_link * header->e_shentsize);
    return at<char>(strings->sh_offset + offset);
  }

  std::set<std::string> exported() const {
    std::set<std::string> names;
    const auto* symbols = section(SHT_DYNSYM);
    for (size_t i = 1; i < symbols->sh_size / sizeof(ElfW(Sym)); ++i) {
      const auto* symbol = at<ElfW(Sym)>(symbols->sh_offset + i * sizeof(ElfW(Sym)));
      if (symbol->st_shndx != SHN_UNDEF) names.insert(text_of(symbols, symbol->st_name));
    }
    return names;
  }
  std::vector<std::string> needed() const {
    std::vector<std::string> names;
    const auto* dynamic = section(SHT_DYNAMIC);
    for (const auto* entry = at<ElfW(Dyn)>(dynamic->sh_offset); entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_NEEDED) names.push_back(text_of(dynamic, entry->d_un.d_val));
    }
    return names;
  }
  // Symbol versions asked of other libraries: "GLIBC_2.17", …
  std::set<std::string> versions_needed() const {
    std::set<std::string> names;
    const auto* needs = section(SHT_GNU_verneed);
    size_t offset = needs->sh_offset;
    for (uint32_t i = 0; i < needs->sh_info; ++i) {
      const auto* need = at<ElfW(Verneed)>(offset);
      size_t aux = offset + need->vn_aux;
      for (int j = 0; j < need->vn_cnt; ++j) {
        const auto* version = at<ElfW(Vernaux)>(aux);
        names.insert(text_of(needs, version->vna_name));
        aux += version->vna_next;
      }
      offset += need->vn_next;
    }
    return names;
  }

 private:
  std::string bytes_;
};

const std::set<std::string>& hooks() {
  static const std::set<std::string> names = {
#define HOOK(symbol, kind, what) #symbol,
#define HOOK_PT(symbol, variant, kind, what) #symbol, #variant,
#define NVML_HOOK(symbol, kind, what) #symbol,
#include "hooks/table.def"
  };
  return names;
}

TEST(LibraryFile, ExportsOnlyCudaNames) {
  const ElfFile file(LORETOKEN_SHIM);
  ASSERT_TRUE(file.valid());
  for (const std::string& name : file.exported()) {
    EXPECT_TRUE(hooks().contains(name) || name == "dlsym" || name.starts_with("loretoken_")) << name;
  }
}

TEST(LibraryFile, ExportsEveryHookForProgramsLinkedAgainstLibcuda) {
  const std::set<std::string> exported = ElfFile(LORETOKEN_SHIM).exported();
  for (const std::string& name : hooks()) EXPECT_TRUE(exported.contains(name)) << name;
  EXPECT_TRUE(exported.contains("dlsym"));
}

#ifndef LORETOKEN_SANITIZED
TEST(LibraryFile, NeedsOnlyTheCLibrary) {
  for (const std::string& name : ElfFile(LORETOKEN_SHIM).needed()) {
    EXPECT_TRUE(name.starts_with("libc.so") || name.starts_with("libdl.so") || name.starts_with("libpthread.so") ||
                name.starts_with("ld-linux"))
        << name;
  }
}

TEST(LibraryFile, LoadsOnGlibc228) {
  const std::set<std::string> versions = ElfFile(LORETOKEN_SHIM).versions_needed();
  ASSERT_FALSE(versions.empty());
  for (const std::string& version : versions) {
    int major = 0;
    int minor = 0;
    ASSERT_GE(sscanf(version.c_str(), "GLIBC_%d.%d", &major, &minor), 2) << version;
    EXPECT_TRUE(major == 2 && minor <= 28) << version;
  }
}
#endif

// The bridge that stands in for hooks while they are written must be gone.
TEST(LibraryFile, NoHookIsAGeneratedPassThrough) {
  EXPECT_FALSE(std::ifstream(LORETOKEN_SHIM_TABLES "/zz_generated_passthrough.cpp").good());
}

}  // namespace
