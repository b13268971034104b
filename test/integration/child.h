// Runs a program of the build with and without the shim and returns what it printed.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace lt {

struct Outcome {
  int status = -1;  // exit status, or 128 + signal
  std::string out;  // stdout
  std::string err;  // stderr
  std::vector<std::string> lines() const;
};

using Environment = std::map<std::string, std::string>;

// Runs with the given variables added to a clean copy of the environment (no LORETOKEN_* of the caller's). A program
// that writes nothing to stdout for `silence_s` seconds is killed.
Outcome run(const std::vector<std::string>& command, const Environment& environment, int silence_s = 600);

// The simulator's variables for one card of `memory` ("1GiB").
Environment simulator(const std::string& memory);
// The same under the shim.
Environment under_shim(const std::string& memory, const std::string& limit, const std::string& virtual_size);

std::string built(const std::string& path);  // path below the build folder

}  // namespace lt
