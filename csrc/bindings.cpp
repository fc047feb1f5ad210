// What Python sees of the core: arguments checked, arrays allocated, the GIL released.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gap_filter.h"
#include "log_mel.h"
#include "simd.h"

namespace py = pybind11;
using namespace py::literals;

namespace streamsed {
namespace {

// With py::arg().noconvert(): a float64 or strided array is a TypeError, never a copy.
template <typename T>
using Array = py::array_t<T, py::array::c_style>;

void check_ndim(const py::array& array, const std::string& name, py::ssize_t n_dims) {
  if (array.ndim() != n_dims) {
    throw std::invalid_argument(name + " has " + std::to_string(array.ndim()) +
                                (array.ndim() == 1 ? " dimension" : " dimensions") +
                                "; it must have " + std::to_string(n_dims));
  }
}

void check_not_flushed(bool flushed) {
  if (flushed) {
    throw std::runtime_error("push after flush: call reset to start a new recording");
  }
}

Array<float> push_samples(LogMel& self, const Array<float>& chunk) {
  check_not_flushed(self.flushed());
  check_ndim(chunk, "chunk", 1);
  Array<float> frames({self.frames_after(chunk.size()), self.n_mels()});
  {
    const py::gil_scoped_release unlocked;
    self.push({chunk.data(), static_cast<std::size_t>(chunk.size())},
              frames.mutable_data());
  }
  return frames;
}

Array<float> flush_samples(LogMel& self) {
  Array<float> frames({self.frames_after_flush(), self.n_mels()});
  {
    const py::gil_scoped_release unlocked;
    self.flush(frames.mutable_data());
  }
  return frames;
}

Array<float> triple_norm(const Array<float>& frames, float top_db,
                         const std::string& simd) {
  const Kernels& kernels = kernels_for(simd);
  check_ndim(frames, "frames", 2);
  if (!(top_db > 0)) {
    throw std::invalid_argument("top_db=" + std::to_string(top_db) +
                                " must be positive");
  }
  Array<float> out({frames.shape(0), frames.shape(1)});
  if (out.size() == 0) return out;
  std::vector<float> extremes(static_cast<std::size_t>(2 * frames.shape(1)));
  {
    const py::gil_scoped_release unlocked;
    kernels.triple_norm(frames.data(), frames.shape(0), frames.shape(1), top_db,
                        extremes.data(), out.mutable_data());
  }
  return out;
}

py::array_t<Run> to_array(const std::vector<Run>& runs) {
  return py::array_t<Run>(static_cast<py::ssize_t>(runs.size()), runs.data());
}

GapFilter make_gap_filter(const Array<float>& onset_thresholds,
                          const Array<float>& offset_thresholds,
                          const Array<std::int64_t>& min_gaps,
                          const Array<std::int64_t>& min_durations) {
  check_ndim(onset_thresholds, "onset_thresholds", 1);
  check_ndim(offset_thresholds, "offset_thresholds", 1);
  check_ndim(min_gaps, "min_gaps", 1);
  check_ndim(min_durations, "min_durations", 1);
  const py::ssize_t n_labels = onset_thresholds.size();
  if (offset_thresholds.size() != n_labels || min_gaps.size() != n_labels ||
      min_durations.size() != n_labels) {
    throw std::invalid_argument(
        "offset_thresholds, min_gaps and min_durations must be as long as "
        "onset_thresholds");
  }
  std::vector<LabelRule> rules;
  for (py::ssize_t k = 0; k < n_labels; ++k) {
    rules.push_back({onset_thresholds.at(k), offset_thresholds.at(k), min_gaps.at(k),
                     min_durations.at(k)});
  }
  return GapFilter(std::move(rules));
}

py::array_t<Run> push_scores(GapFilter& self, const Array<float>& scores) {
  check_not_flushed(self.flushed());
  check_ndim(scores, "scores", 2);
  if (scores.shape(1) != self.n_labels()) {
    throw std::invalid_argument("scores has " + std::to_string(scores.shape(1)) +
                                " columns; it must have one for each of the " +
                                std::to_string(self.n_labels()) + " labels");
  }
  std::vector<Run> closed;
  {
    const py::gil_scoped_release unlocked;
    self.push(scores.data(), scores.shape(0), closed);
  }
  return to_array(closed);
}

py::array_t<Run> flush_scores(GapFilter& self) {
  std::vector<Run> closed;
  self.flush(closed);
  return to_array(closed);
}

}  // namespace
}  // namespace streamsed

PYBIND11_MODULE(_core, m) {
  using namespace streamsed;
  PYBIND11_NUMPY_DTYPE(Run, label, onset, offset, score);

  m.def("simd_targets", &simd_targets);

  py::class_<LogMel>(m, "LogMel")
      .def(py::init([](std::int64_t sample_rate, std::int64_t n_fft,
                       std::int64_t win_length, std::int64_t hop_length,
                       std::int64_t n_mels, double fmin, double fmax, float amin,
                       const std::string& simd) {
             return LogMel(
                 {sample_rate, n_fft, win_length, hop_length, n_mels, fmin, fmax, amin},
                 kernels_for(simd));
           }),
           py::kw_only(), "sample_rate"_a, "n_fft"_a, "win_length"_a, "hop_length"_a,
           "n_mels"_a, "fmin"_a, "fmax"_a, "amin"_a, "simd"_a = "auto")
      .def_property_readonly("n_mels", &LogMel::n_mels)
      .def_property_readonly("latency", &LogMel::latency)
      .def_property_readonly("n_samples", &LogMel::n_samples)
      .def_property_readonly("n_frames", &LogMel::n_frames)
      .def_property_readonly("simd", &LogMel::simd)
      .def("push", &push_samples, "chunk"_a.noconvert())
      .def("flush", &flush_samples)
      .def("reset", &LogMel::reset);

  m.def("triple_norm", &triple_norm, "frames"_a.noconvert(), "top_db"_a,
        "simd"_a = "auto");

  py::class_<GapFilter>(m, "GapFilter")
      .def(py::init(&make_gap_filter), py::kw_only(), "onset_thresholds"_a.noconvert(),
           "offset_thresholds"_a.noconvert(), "min_gaps"_a.noconvert(),
           "min_durations"_a.noconvert())
      .def_property_readonly("n_labels", &GapFilter::n_labels)
      .def_property_readonly("n_frames", &GapFilter::n_frames)
      .def("push", &push_scores, "scores"_a.noconvert())
      .def("flush", &flush_scores)
      .def("reset", &GapFilter::reset)
      .def("open_runs",
           [](const GapFilter& self) { return to_array(self.open_runs()); })
      .def("copy", [](const GapFilter& self) { return self; });
}
