// Slaney's mel filterbank, as sparse triangles over the bins of a spectrum.
#pragma once

#include <cstdint>
#include <vector>

#include "floats.h"
#include "kernels/kernels.h"

namespace streamsed {

// One triangle: bins [first_bin, first_bin + weights.size()), none of them weightless.
// A triangle narrower than the spacing of the bins may hold no bin at all.
struct MelBand {
  std::int64_t first_bin = 0;
  std::vector<float> weights;
};

// The `n_mels` bands between `fmin` and `fmax` (Hz), designed in double precision.
//
// The mel scale is Slaney's: linear up to 1000 Hz (15 mel), logarithmic above. Each
// triangle is scaled by 2 / (its width in Hz), so that all have the same area.
std::vector<MelBand> mel_bands(std::int64_t sample_rate, std::int64_t n_fft,
                               std::int64_t n_mels, double fmin, double fmax);

// The bands laid out for registers of n_lanes floats.
//
// n_lanes neighbouring bands make a group and are summed side by side, each from its
// own first bin on and all over as many vectors of bins as the widest needs. 128 bands
// over 1025 bins have 131200 weights, of which only 2014 are not zero; in 8 lanes, 2688
// are kept.
class MelPlan {
 public:
  MelPlan(const std::vector<MelBand>& bands, std::int64_t n_fft, float amin,
          std::int64_t n_lanes);

  // Floats that a power spectrum needs: the bins, and zeros to fill the last vectors.
  std::int64_t n_powers() const noexcept { return n_powers_; }
  MelTables tables() const noexcept;

 private:
  std::int64_t n_mels_;
  float amin_;
  std::int64_t n_powers_;
  std::vector<std::int64_t> first_bins_, n_vectors_;
  Floats weights_;
};

}  // namespace streamsed
