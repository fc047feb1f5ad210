// L floats in one SIMD register (or several, where the registers are shorter).
//
// Everything here is in an anonymous namespace on purpose: this file is compiled once
// per instruction set, and a function with a shared name could be merged by the linker
// into its AVX copy, which then crashes on a CPU without AVX.
#pragma once

namespace streamsed {
namespace {

template <int L>
struct VecOf {
  typedef float Float __attribute__((vector_size(L * sizeof(float))));
  typedef int Int __attribute__((vector_size(L * sizeof(int))));
};
template <int L>
using Vec = typename VecOf<L>::Float;
template <int L>
using IntVec = typename VecOf<L>::Int;

template <int L>
inline Vec<L> load(const float* from) {
  Vec<L> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <int L>
inline void store(float* to, Vec<L> v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <int L>
inline Vec<L> max(Vec<L> a, Vec<L> b) {
  return a > b ? a : b;
}
template <int L>
inline Vec<L> min(Vec<L> a, Vec<L> b) {
  return a < b ? a : b;
}

// Compile-time lane numbers for __builtin_shufflevector.
template <int... I>
struct Lanes {};
template <int N, int... I>
struct CountTo : CountTo<N - 1, N - 1, I...> {};
template <int... I>
struct CountTo<0, I...> {
  using type = Lanes<I...>;
};

// Lane `i` of a merge of the vectors a and b (b's lanes count on from a's). `transpose`
// and `sum_lanes` below take log2(L) rounds of merges; each merge is one instruction,
// as rounds 2 and 1 stay inside 128-bit quarters and rounds 4 and 8 move whole
// quarters:
//
//   round      half 0                          half 1
//   2 and 1    a0 b0 a1 b1  (each quarter)     a2 b2 a3 b3  (each quarter)
//   4          a0-3 b0-3 a8-11 b8-11           a4-7 b4-7 a12-15 b12-15
//   8          a0-7 b0-7                       a8-15 b8-15
constexpr int merged_lane(int round, int half, int i, int n_lanes) {
  if (round <= 2) return i / 4 * 4 + 2 * half + i % 4 / 2 + i % 2 * n_lanes;
  return i % round + i / (2 * round) * (2 * round) + half * round +
         i / round % 2 * n_lanes;
}

template <int L, int Distance, int Half, int... I>
inline Vec<L> merge_lanes(Vec<L> a, Vec<L> b, Lanes<I...>) {
  return __builtin_shufflevector(a, b, merged_lane(Distance, Half, I, L)...);
}
template <int L, int Distance, int Half>
inline Vec<L> merge(Vec<L> a, Vec<L> b) {
  return merge_lanes<L, Distance, Half>(a, b, typename CountTo<L>::type{});
}

template <int L, int... I>
inline Vec<L> reverse_lanes(Vec<L> v, Lanes<I...>) {
  return __builtin_shufflevector(v, v, (L - 1 - I)...);
}
template <int L>
inline Vec<L> reverse(Vec<L> v) {
  return reverse_lanes<L>(v, typename CountTo<L>::type{});
}

constexpr int next_round(int round) {
  return round == 2 ? 1 : round == 1 ? 4 : 2 * round;
}

// rows[i][j] becomes rows[j][i]: each round merges the rows `Round` apart.
template <int L, int Round = 2>
inline void transpose(Vec<L>* rows) {
  if constexpr (Round < L) {
    for (int i = 0; i < L; ++i) {
      if ((i & Round) != 0) continue;
      const Vec<L> a = rows[i], b = rows[i + Round];
      rows[i] = merge<L, Round, 0>(a, b);
      rows[i + Round] = merge<L, Round, 1>(a, b);
    }
    transpose<L, next_round(Round)>(rows);
  }
}

// Lane i of the result is the sum of the lanes of rows[i]: the same rounds, each adding
// the two merges, which halves the number of rows. `rows` is overwritten.
template <int L, int Round = 2>
inline Vec<L> sum_lanes(Vec<L>* rows) {
  if constexpr (Round < L) {
    const int n_left = Round == 2 ? L / 2 : Round == 1 ? L / 4 : L / (2 * Round);
    for (int i = 0; i < n_left; ++i) {
      const int first = Round == 2 ? i / 2 * 4 + i % 2 : 2 * i;
      const Vec<L> a = rows[first], b = rows[first + (Round == 2 ? 2 : 1)];
      rows[i] = merge<L, Round, 0>(a, b) + merge<L, Round, 1>(a, b);
    }
    return sum_lanes<L, next_round(Round)>(rows);
  }
  return rows[0];
}

}  // namespace
}  // namespace streamsed
