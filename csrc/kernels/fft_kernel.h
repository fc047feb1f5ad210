// The power spectrum of one window, in the three steps that fft.h derives.
//
// A complex row is 2 L floats: L reals, then L imaginaries. For 2048 samples the rows
// of a pass are 8 KiB: one window after the other runs through the first-level cache.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace streamsed {
namespace {

template <int L>
struct Complex {
  Vec<L> re, im;
};

template <int L>
inline Complex<L> operator+(Complex<L> a, Complex<L> b) {
  return {a.re + b.re, a.im + b.im};
}
template <int L>
inline Complex<L> operator-(Complex<L> a, Complex<L> b) {
  return {a.re - b.re, a.im - b.im};
}
// a times re + i im, one number for all lanes (float) or one for each (Vec<L>).
template <int L, typename Real>
inline Complex<L> times(Complex<L> a, Real re, Real im) {
  return {a.re * re - a.im * im, a.re * im + a.im * re};
}
template <int L>
inline Vec<L> norm(Complex<L> a) {
  return a.re * a.re + a.im * a.im;
}

template <int L>
inline Complex<L> load_row(const float* rows, std::int64_t r) {
  return {load<L>(rows + 2 * L * r), load<L>(rows + 2 * L * r + L)};
}
template <int L>
inline void store_row(float* rows, std::int64_t r, Complex<L> row) {
  store<L>(rows + 2 * L * r, row.re);
  store<L>(rows + 2 * L * r + L, row.im);
}

// a times w_N^K for the small N of a butterfly, with as few products as possible.
template <int N, int K, int L>
inline Complex<L> rotate(Complex<L> a) {
  constexpr float kHalfRoot = 0.707106781186547524F;  // cos(pi / 4)
  constexpr float kCos = 0.923879532511286756F, kSin = 0.382683432365089772F;  // pi / 8
  if constexpr (K == 0) {
    return a;
  } else if constexpr (4 * K >= N) {
    const Complex<L> b = rotate<N, K - N / 4>(a);
    return {b.im, -b.re};
  } else if constexpr (8 * K == N) {
    return {(a.re + a.im) * kHalfRoot, (a.im - a.re) * kHalfRoot};
  } else {
    static_assert(N == 16 && (K == 1 || K == 3));
    return K == 1 ? times(a, kCos, -kSin) : times(a, kSin, -kCos);
  }
}

// The DFT of z[0 .. N - 1], in place and in registers, by halves: those of the even and
// of the odd elements, then z[k], z[k + N / 2] = even[k] +- w_N^k odd[k].
template <int N, int L, int K = 0>
inline void join_halves(const Complex<L>* even, const Complex<L>* odd, Complex<L>* z) {
  if constexpr (K < N / 2) {
    const Complex<L> rotated = rotate<N, K>(odd[K]);
    z[K] = even[K] + rotated;
    z[K + N / 2] = even[K] - rotated;
    join_halves<N, L, K + 1>(even, odd, z);
  }
}
template <int N, int L>
inline void dft(Complex<L>* z) {
  if constexpr (N > 1) {
    Complex<L> even[N / 2], odd[N / 2];
    for (int i = 0; i < N / 2; ++i) {
      even[i] = z[2 * i];
      odd[i] = z[2 * i + 1];
    }
    dft<N / 2>(even);
    dft<N / 2>(odd);
    join_halves<N>(even, odd, z);
  }
}

// A pass of Stockham's FFT takes `stride` interleaved DFTs of n rows to 4 stride DFTs
// of n / 4 rows: with m = n / 4, the elements p, p + m, p + 2 m, p + 3 m of each make
// one butterfly, whose output k, times w_n^(p k), goes to place p of the DFT number k.
template <int L>
inline void columns_pass(const float* in, std::int64_t n, std::int64_t stride,
                         const float* twiddles, float* out) {
  const std::int64_t m = n / 4;
  for (std::int64_t p = 0; p < m; ++p, twiddles += 6) {
    for (std::int64_t q = 0; q < stride; ++q) {
      Complex<L> z[4];
      for (int j = 0; j < 4; ++j) z[j] = load_row<L>(in, q + stride * (p + m * j));
      dft<4>(z);
      float* to = out + 2 * L * (q + stride * 4 * p);
      store_row<L>(to, 0, z[0]);
      store_row<L>(to, stride, times(z[1], twiddles[0], twiddles[1]));
      store_row<L>(to, stride * 2, times(z[2], twiddles[2], twiddles[3]));
      store_row<L>(to, stride * 3, times(z[3], twiddles[4], twiddles[5]));
    }
  }
}

// The first pass (stride 1) reads samples through the window: even rows are real parts,
// odd rows imaginary parts.
template <int L>
inline void columns_first(const float* samples, const float* window, std::int64_t n,
                          const float* twiddles, float* out) {
  const std::int64_t m = n / 4;
  for (std::int64_t p = 0; p < m; ++p, twiddles += 6) {
    Complex<L> z[4];
    for (int j = 0; j < 4; ++j) {
      const Complex<L> row = load_row<L>(samples, p + m * j);
      const Complex<L> weight = load_row<L>(window, p + m * j);
      z[j] = {row.re * weight.re, row.im * weight.im};
    }
    dft<4>(z);
    store_row<L>(out, 4 * p, z[0]);
    store_row<L>(out, 4 * p + 1, times(z[1], twiddles[0], twiddles[1]));
    store_row<L>(out, 4 * p + 2, times(z[2], twiddles[2], twiddles[3]));
    store_row<L>(out, 4 * p + 3, times(z[3], twiddles[4], twiddles[5]));
  }
}

// The last pass has one butterfly for each of the `stride` DFTs, and no twiddles.
template <int N, int L>
inline void columns_last(const float* in, std::int64_t stride, float* out) {
  for (std::int64_t q = 0; q < stride; ++q) {
    Complex<L> z[N];
    for (int j = 0; j < N; ++j) z[j] = load_row<L>(in, q + stride * j);
    dft<N>(z);
    for (int k = 0; k < N; ++k) store_row<L>(out, q + stride * k, z[k]);
  }
}

// Step 1 of fft.h; returns where the rows ended up: `a` or `b`.
template <int L>
inline float* columns(const FftTables& fft, const float* samples, float* a, float* b) {
  const float* twiddles = fft.column_twiddles;
  std::int64_t n = fft.n_fft / (2 * L), stride = 1;
  columns_first<L>(samples, fft.window, n, twiddles, a);
  for (twiddles += 6 * (n / 4), n /= 4, stride *= 4; n > 8; n /= 4, stride *= 4) {
    columns_pass<L>(a, n, stride, twiddles, b);
    twiddles += 6 * (n / 4);
    float* other = a;
    a = b;
    b = other;
  }
  if (n == 8) {
    columns_last<8, L>(a, stride, b);
  } else if (n == 4) {
    columns_last<4, L>(a, stride, b);
  } else {
    columns_last<2, L>(a, stride, b);
  }
  return b;
}

// Step 2 of fft.h, in place on the rows 0 .. R - 1, in pairs; returns row R. Below,
// `even` is E[k] and `odd` is w_2R^k O[k].
template <int L>
inline Vec<L> split(const FftTables& fft, float* rows) {
  const std::int64_t n_rows = fft.n_fft / (2 * L);
  for (std::int64_t k = 1; k <= n_rows / 2; ++k) {
    const Complex<L> a = load_row<L>(rows, k), b = load_row<L>(rows, n_rows - k);
    const Complex<L> even = {a.re + b.re, a.im - b.im};
    const Complex<L> odd =
        times(Complex<L>{a.im + b.im, b.re - a.re}, fft.split_twiddles[2 * k],
              fft.split_twiddles[2 * k + 1]);
    const Complex<L> twiddle = load_row<L>(fft.lane_twiddles, k);
    const Complex<L> mirror_twiddle = load_row<L>(fft.lane_twiddles, n_rows - k);
    const Complex<L> mirror = {even.re - odd.re, odd.im - even.im};
    store_row<L>(rows, n_rows - k, times(mirror, mirror_twiddle.re, mirror_twiddle.im));
    store_row<L>(rows, k, times(even + odd, twiddle.re, twiddle.im));
  }
  const Complex<L> z = load_row<L>(rows, 0);
  store_row<L>(rows, 0, {2 * (z.re + z.im), Vec<L>{}});
  return 2 * (z.re - z.im);
}

// Step 3 of fft.h: powers[0 .. n_fft / 2] from the rows 0 .. R - 1 and the row R.
template <int L>
inline void across(const FftTables& fft, const float* rows, Vec<L> middle_row,
                   float* powers) {
  const std::int64_t n_rows = fft.n_fft / (2 * L);
  for (std::int64_t k = 0; k < n_rows; k += L) {
    Vec<L> re[L], im[L];
    for (int l = 0; l < L; ++l) re[l] = load<L>(rows + 2 * L * (k + l));
    transpose<L>(re);
    for (int l = 0; l < L; ++l) im[l] = load<L>(rows + 2 * L * (k + l) + L);
    transpose<L>(im);
    Complex<L> z[L];
    for (int l = 0; l < L; ++l) z[l] = {re[l], im[l]};
    dft<L>(z);
    for (int j = 0; j < L / 2; ++j) {
      store<L>(powers + 2 * n_rows * j + k, norm(z[j]));
      // The bins from k + 2 R (L - 1 - j) upwards mirror those from 2 R (j + 1) - k
      // down.
      store<L>(powers + 2 * n_rows * (j + 1) - k - (L - 1),
               reverse<L>(norm(z[L - 1 - j])));
    }
  }
  Vec<L> middle = {};
  for (int l = 0; l < L; ++l) {
    middle += load<L>(fft.middle_matrix + L * l) * middle_row[l];
  }
  for (int j = 0; j < L / 2; ++j) {
    powers[n_rows + 2 * n_rows * j] =
        middle[j] * middle[j] + middle[j + L / 2] * middle[j + L / 2];
  }
}

// powers[0 .. n_fft / 2] of the window that begins at samples[0]; `work` is scratch of
// 2 n_fft floats.
template <int L>
inline void power_spectrum(const FftTables& fft, const float* samples, float* work,
                           float* powers) {
  float* rows = columns<L>(fft, samples, work, work + fft.n_fft);
  const Vec<L> middle_row = split<L>(fft, rows);
  across<L>(fft, rows, middle_row, powers);
}

}  // namespace
}  // namespace streamsed
