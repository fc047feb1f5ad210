#include "mel.h"

#include <algorithm>
#include <cmath>

namespace streamsed {
namespace {

constexpr double kLinearHzPerMel = 200.0 / 3.0;
constexpr double kBreakHz = 1000.0;
constexpr double kBreakMel = kBreakHz / kLinearHzPerMel;
const double kLogStep = std::log(6.4) / 27.0;  // 27 mel from 1000 Hz to 6400 Hz

double hz_to_mel(double hz) {
  return hz < kBreakHz ? hz / kLinearHzPerMel
                       : kBreakMel + std::log(hz / kBreakHz) / kLogStep;
}

double mel_to_hz(double mel) {
  return mel < kBreakMel ? mel * kLinearHzPerMel
                         : kBreakHz * std::exp(kLogStep * (mel - kBreakMel));
}

}  // namespace

std::vector<MelBand> mel_bands(std::int64_t sample_rate, std::int64_t n_fft,
                               std::int64_t n_mels, double fmin, double fmax) {
  // Band b rises from edge b to edge b + 1 and falls to edge b + 2; the edges are
  // equally spaced in mel.
  const double mel_min = hz_to_mel(fmin);
  const double mel_step = (hz_to_mel(fmax) - mel_min) / static_cast<double>(n_mels + 1);
  const auto edge = [&](std::int64_t i) {
    return mel_to_hz(mel_min + mel_step * static_cast<double>(i));
  };
  const double hz_per_bin =
      static_cast<double>(sample_rate) / static_cast<double>(n_fft);

  std::vector<MelBand> bands(static_cast<std::size_t>(n_mels));
  for (std::int64_t b = 0; b < n_mels; ++b) {
    MelBand& band = bands[static_cast<std::size_t>(b)];
    const double left = edge(b), centre = edge(b + 1), right = edge(b + 2);
    band.first_bin = static_cast<std::int64_t>(std::floor(left / hz_per_bin)) + 1;
    for (std::int64_t bin = band.first_bin; bin <= n_fft / 2; ++bin) {
      const double hz = static_cast<double>(bin) * hz_per_bin;
      const double height =
          std::min((hz - left) / (centre - left), (right - hz) / (right - centre));
      if (height <= 0) break;
      band.weights.push_back(static_cast<float>(height * 2.0 / (right - left)));
    }
  }
  return bands;
}

MelPlan::MelPlan(const std::vector<MelBand>& bands, std::int64_t n_fft, float amin,
                 std::int64_t n_lanes)
    : n_mels_(static_cast<std::int64_t>(bands.size())),
      amin_(amin),
      n_powers_(n_fft / 2 + 1) {
  const auto lanes = static_cast<std::size_t>(n_lanes);
  for (std::size_t group = 0; group < bands.size(); group += lanes) {
    const std::size_t end = std::min(group + lanes, bands.size());
    std::size_t n_vectors = 0;
    for (std::size_t b = group; b < end; ++b) {
      n_vectors = std::max(n_vectors, (bands[b].weights.size() + lanes - 1) / lanes);
    }
    n_vectors_.push_back(static_cast<std::int64_t>(n_vectors));
    const std::size_t start = weights_.size();
    weights_.resize(start + n_vectors * lanes * lanes);
    first_bins_.resize(first_bins_.size() + lanes);
    for (std::size_t b = group; b < end; ++b) {
      const MelBand& band = bands[b];
      first_bins_[b] = band.first_bin;
      n_powers_ = std::max(
          n_powers_, band.first_bin + static_cast<std::int64_t>(n_vectors * lanes));
      for (std::size_t i = 0; i < band.weights.size(); ++i) {
        const std::size_t row = i / lanes * lanes + (b - group);
        weights_[start + row * lanes + i % lanes] = band.weights[i];
      }
    }
  }
}

MelTables MelPlan::tables() const noexcept {
  return {n_mels_,
          static_cast<std::int64_t>(n_vectors_.size()),
          first_bins_.data(),
          n_vectors_.data(),
          weights_.data(),
          amin_};
}

}  // namespace streamsed
