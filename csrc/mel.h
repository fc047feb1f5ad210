// Slaney's mel filterbank, as sparse triangles over the bins of a spectrum.
#pragma once

#include <cstdint>
#include <vector>

namespace streamsed {

// One triangle: bins [first_bin, first_bin + weights.size()), none of them weightless.
// A triangle narrower than the spacing of the bins may hold no bin at all.
struct MelBand {
  std::int64_t first_bin = 0;
  std::vector<float> weights;
};

// The `n_mels` bands between `fmin` and `fmax` (Hz), designed in double precision.
//
// The mel scale is Slaney's: linear to 1000 Hz (15 mel), logarithmic above. Each
// triangle is scaled by 2 / (its width in Hz), so that all have the same area.
std::vector<MelBand> mel_bands(double sample_rate, std::int64_t n_fft,
                               std::int64_t n_mels, double fmin, double fmax);

}  // namespace streamsed
