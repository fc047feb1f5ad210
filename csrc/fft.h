// The power spectrum of a windowed real signal, arranged for SIMD: the constants.
//
// Write the N = n_fft samples in rows of L lanes, x[r L + l] in row r and lane l, and
// let w_n = exp(-2 pi i / n). Then, with 2 R = N / L rows,
//
//   X[k] = sum_l w_N^(l k) Y_l[k]      Y_l[k] = sum_r x[r L + l] w_2R^(r k)
//
// and every step but the last works on whole rows, the lanes never meeting:
//
// 1. Columns. Y_l is the DFT of 2 R real numbers. Take the even rows as real, the odd
//    rows as imaginary parts of R complex rows and transform these to Z, by Stockham's
//    FFT of radix 4, which needs no reordering. The window goes into the first pass.
// 2. Split. The spectra of the even and odd rows are E[k] = (Z[k] + conj Z[R - k]) / 2
//    and O[k] = (Z[k] - conj Z[R - k]) / 2i; then Y[k] = E[k] + w_2R^k O[k] and
//    Y[R - k] = conj(E[k] - w_2R^k O[k]). Multiply by w_N^(l k): T. The halves are left
//    to the window.
// 3. Across. The same k + 2 R j for all j share T[k], as Y has the period 2 R:
//
//      X[k + 2 R j] = sum_l w_L^(l j) T_l[k]      j = 0 .. L - 1
//
//    Transpose L rows k .. k + L - 1, so that the lanes are bins, and take the DFT over
//    the L rows l. Of the real signal's bins 0 .. N / 2, the rows k < R give
//
//      0          R          2R         3R         4R     ...     N/2 = R L
//      |--j = 0-->|<-j = L-1-|--j = 1-->|<-j = L-2-|--j = 2 ...
//
//    because bins above N / 2 mirror those below, and row k = R, real before its
//    twiddles, gives the bins R, 3R, 5R, ... that are missing: a small matrix product.
#pragma once

#include <cstdint>
#include <span>

#include "floats.h"
#include "kernels/kernels.h"

namespace streamsed {

class FftPlan {
 public:
  // `window` has n_fft values, a power of two of at least 64; `n_lanes` is what the
  // kernels have. A short FFT uses 4 of them: the method wants R >= L and R >= 8.
  FftPlan(std::span<const float> window, std::int64_t n_lanes);

  std::int64_t n_lanes() const noexcept { return n_lanes_; }
  FftTables tables() const noexcept;

 private:
  std::int64_t n_fft_, n_lanes_;
  Floats window_, column_twiddles_, split_twiddles_, lane_twiddles_, middle_matrix_;
};

}  // namespace streamsed
