// The choice among the kernels, made when the program runs.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace streamsed {

// The targets that this machine runs, slowest first: "baseline" runs anywhere.
std::vector<std::string> simd_targets();

// The kernels of the target named `simd`; "auto" is the last of simd_targets(). Throws
// std::invalid_argument if there is no such target.
const Kernels& kernels_for(const std::string& simd);

}  // namespace streamsed
