#include "fft.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace streamsed {
namespace {

// exp(-2 pi i numerator / denominator), exact to a float.
std::complex<float> root_of_unity(std::int64_t numerator, std::int64_t denominator) {
  const double phase = -2 * std::numbers::pi *
                       static_cast<double>(numerator % denominator) /
                       static_cast<double>(denominator);
  return {static_cast<float>(std::cos(phase)), static_cast<float>(std::sin(phase))};
}

void append(Floats& floats, std::complex<float> value) {
  floats.push_back(value.real());
  floats.push_back(value.imag());
}

}  // namespace

FftPlan::FftPlan(std::span<const float> window, std::int64_t n_lanes)
    : n_fft_(static_cast<std::int64_t>(window.size())),
      n_lanes_(n_fft_ < 2 * n_lanes * std::max<std::int64_t>(n_lanes, 8) ? 4
                                                                         : n_lanes) {
  for (const float value : window) window_.push_back(value / 2);

  const std::int64_t n_rows = n_fft_ / (2 * n_lanes_);
  // Passes of radix 4 while more than 8 rows are left to transform; the last pass, of
  // 8, 4 or 2 rows, needs no twiddles.
  for (std::int64_t n = n_rows; n > 8 || n == n_rows; n /= 4) {
    for (std::int64_t p = 0; p < n / 4; ++p) {
      for (std::int64_t k = 1; k < 4; ++k)
        append(column_twiddles_, root_of_unity(p * k, n));
    }
  }
  for (std::int64_t k = 0; k <= n_rows / 2; ++k) {
    append(split_twiddles_, root_of_unity(k, 2 * n_rows));
  }
  for (std::int64_t k = 0; k < n_rows; ++k) {
    for (std::int64_t l = 0; l < n_lanes_; ++l) {
      lane_twiddles_.push_back(root_of_unity(l * k, n_fft_).real());
    }
    for (std::int64_t l = 0; l < n_lanes_; ++l) {
      lane_twiddles_.push_back(root_of_unity(l * k, n_fft_).imag());
    }
  }
  // Row l: what Y_l[R] adds to the real, then to the imaginary parts of the bins
  // R + 2 R j, j < L / 2. There, w_N^(l R) w_L^(l j) = w_2L^(l (1 + 2 j)).
  for (std::int64_t l = 0; l < n_lanes_; ++l) {
    for (std::int64_t j = 0; j < n_lanes_ / 2; ++j) {
      middle_matrix_.push_back(root_of_unity(l * (1 + 2 * j), 2 * n_lanes_).real());
    }
    for (std::int64_t j = 0; j < n_lanes_ / 2; ++j) {
      middle_matrix_.push_back(root_of_unity(l * (1 + 2 * j), 2 * n_lanes_).imag());
    }
  }
}

FftTables FftPlan::tables() const noexcept {
  return {n_fft_,
          n_lanes_,
          window_.data(),
          column_twiddles_.data(),
          split_twiddles_.data(),
          lane_twiddles_.data(),
          middle_matrix_.data()};
}

}  // namespace streamsed
