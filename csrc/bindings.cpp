// What Python sees of the core: arguments checked, arrays allocated, the GIL released.
//
// Without the GIL, two threads may enter one object: each function that works on its
// state takes it by Exclusive::Use first.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "exclusive.h"
#include "gap_filter.h"
#include "log_mel.h"
#include "simd.h"

namespace py = pybind11;
using namespace py::literals;

// For an object whose __init__ never ran (`LogMel.__new__(LogMel)`), pybind11 would
// return uninitialised memory.
template <typename T>
struct pybind11::detail::type_caster<streamsed::Exclusive<T>>
    : type_caster_base<streamsed::Exclusive<T>> {
  bool load(handle self, bool convert) {
    if (PyObject_TypeCheck(self.ptr(), this->typeinfo->type) != 0 &&
        !reinterpret_cast<instance*>(self.ptr())
             ->get_value_and_holder()
             .holder_constructed()) {
      const std::string name = this->typeinfo->type->tp_name;
      throw type_error(name +
                       ".__init__ was never called on this object: make it with " +
                       name + "(...)");
    }
    return type_caster_base<streamsed::Exclusive<T>>::load(self, convert);
  }
};

namespace streamsed {
namespace {

using SharedLogMel = Exclusive<LogMel>;
using SharedGapFilter = Exclusive<GapFilter>;

// What a call may return at most, in values: 2 GiB of floats.
constexpr py::ssize_t kMaxValues = py::ssize_t{1} << 29;

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

// The frames of a call, yet to be written.
Array<float> make_frames(const LogMel& log_mel, std::int64_t n_frames) {
  if (n_frames > kMaxValues / log_mel.n_mels()) {
    throw std::invalid_argument(
        "chunk completes " + std::to_string(n_frames) + " frames of " +
        std::to_string(log_mel.n_mels()) + " bands, which must be at most " +
        std::to_string(kMaxValues) + " values in one call; push it in smaller pieces");
  }
  return Array<float>({n_frames, log_mel.n_mels()});
}

Array<float> push_samples(SharedLogMel& self, const Array<float>& chunk) {
  const SharedLogMel::Use log_mel(self);
  check_not_flushed(log_mel->flushed());
  check_ndim(chunk, "chunk", 1);
  Array<float> frames = make_frames(*log_mel, log_mel->frames_after(chunk.size()));
  {
    const py::gil_scoped_release unlocked;
    log_mel->push({chunk.data(), static_cast<std::size_t>(chunk.size())},
                  frames.mutable_data());
  }
  return frames;
}

Array<float> flush_samples(SharedLogMel& self) {
  const SharedLogMel::Use log_mel(self);
  Array<float> frames = make_frames(*log_mel, log_mel->frames_after_flush());
  {
    const py::gil_scoped_release unlocked;
    log_mel->flush(frames.mutable_data());
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
  bool finite = false;
  {
    const py::gil_scoped_release unlocked;
    finite = kernels.triple_norm(frames.data(), frames.shape(0), frames.shape(1),
                                 top_db, extremes.data(), out.mutable_data());
  }
  if (!finite) {
    throw std::invalid_argument(
        "frames must be finite decibels, and hold a NaN, an infinity or a range beyond "
        "that of a float");
  }
  return out;
}

py::array_t<Run> to_array(const std::vector<Run>& runs) {
  return py::array_t<Run>(static_cast<py::ssize_t>(runs.size()), runs.data());
}

std::unique_ptr<SharedGapFilter> share(GapFilter gap_filter) {
  return std::make_unique<SharedGapFilter>("GapFilter", std::move(gap_filter));
}

std::unique_ptr<SharedGapFilter> make_gap_filter(
    const Array<float>& onset_thresholds, const Array<float>& rise_thresholds,
    const Array<float>& offset_thresholds, const Array<std::int64_t>& min_gaps,
    const Array<std::int64_t>& min_durations) {
  check_ndim(onset_thresholds, "onset_thresholds", 1);
  check_ndim(rise_thresholds, "rise_thresholds", 1);
  check_ndim(offset_thresholds, "offset_thresholds", 1);
  check_ndim(min_gaps, "min_gaps", 1);
  check_ndim(min_durations, "min_durations", 1);
  const py::ssize_t n_labels = onset_thresholds.size();
  if (rise_thresholds.size() != n_labels || offset_thresholds.size() != n_labels ||
      min_gaps.size() != n_labels || min_durations.size() != n_labels) {
    throw std::invalid_argument(
        "rise_thresholds, offset_thresholds, min_gaps and min_durations must be as "
        "long as onset_thresholds");
  }
  std::vector<LabelRule> rules;
  rules.reserve(static_cast<std::size_t>(n_labels));
  for (py::ssize_t k = 0; k < n_labels; ++k) {
    rules.push_back({onset_thresholds.at(k), rise_thresholds.at(k),
                     offset_thresholds.at(k), min_gaps.at(k), min_durations.at(k)});
  }
  return share(GapFilter(std::move(rules)));
}

void check_finite(const Array<float>& scores) {
  const float* values = scores.data();
  int n_bad = 0;  // counted rather than found, as that is quicker
  for (py::ssize_t i = 0; i < scores.size(); ++i) n_bad += !std::isfinite(values[i]);
  if (n_bad == 0) return;
  const float* bad = std::find_if_not(values, values + scores.size(),
                                      [](float v) { return std::isfinite(v); });
  const std::string row = std::to_string((bad - values) / scores.shape(1));
  const std::string column = std::to_string((bad - values) % scores.shape(1));
  throw std::invalid_argument("scores[" + row + ", " + column +
                              "]=" + std::to_string(*bad) + " must be finite");
}

py::array_t<Run> push_scores(SharedGapFilter& self, const Array<float>& scores) {
  const SharedGapFilter::Use gap_filter(self);
  check_not_flushed(gap_filter->flushed());
  check_ndim(scores, "scores", 2);
  if (scores.shape(1) != gap_filter->n_labels()) {
    throw std::invalid_argument("scores has " + std::to_string(scores.shape(1)) +
                                " columns; it must have one for each of the " +
                                std::to_string(gap_filter->n_labels()) + " labels");
  }
  check_finite(scores);
  std::vector<Run> closed;
  {
    const py::gil_scoped_release unlocked;
    gap_filter->push(scores.data(), scores.shape(0), closed);
  }
  return to_array(closed);
}

py::array_t<Run> flush_scores(SharedGapFilter& self) {
  const SharedGapFilter::Use gap_filter(self);
  std::vector<Run> closed;
  gap_filter->flush(closed);
  return to_array(closed);
}

py::array_t<Run> open_runs(SharedGapFilter& self) {
  return to_array(SharedGapFilter::Use(self)->open_runs());
}

std::unique_ptr<SharedGapFilter> copy(SharedGapFilter& self) {
  return share(*SharedGapFilter::Use(self));
}

// A property: `constant` ones never change, the others belong to the state.
template <auto Member, typename T>
auto constant(const Exclusive<T>& self) {
  return (self.constant().*Member)();
}
template <auto Member, typename T>
auto state(Exclusive<T>& self) {
  const typename Exclusive<T>::Use object(self);
  return ((*object).*Member)();
}
template <typename T>
void reset(Exclusive<T>& self) {
  typename Exclusive<T>::Use(self)->reset();
}

}  // namespace
}  // namespace streamsed

PYBIND11_MODULE(_core, m) {
  using namespace streamsed;
  PYBIND11_NUMPY_DTYPE(Run, label, onset, offset, score);

  m.def("simd_targets", &simd_targets);

  py::class_<SharedLogMel>(m, "LogMel")
      .def(py::init([](std::int64_t sample_rate, std::int64_t n_fft,
                       std::int64_t win_length, std::int64_t hop_length,
                       std::int64_t n_mels, double fmin, double fmax, float amin,
                       const std::string& simd) {
             return std::make_unique<SharedLogMel>(
                 "LogMel", LogMel({sample_rate, n_fft, win_length, hop_length, n_mels,
                                   fmin, fmax, amin},
                                  kernels_for(simd)));
           }),
           py::kw_only(), "sample_rate"_a, "n_fft"_a, "win_length"_a, "hop_length"_a,
           "n_mels"_a, "fmin"_a, "fmax"_a, "amin"_a, "simd"_a = "auto")
      .def_property_readonly("n_mels", &constant<&LogMel::n_mels, LogMel>)
      .def_property_readonly("latency", &constant<&LogMel::latency, LogMel>)
      .def_property_readonly("n_samples", &state<&LogMel::n_samples, LogMel>)
      .def_property_readonly("n_frames", &state<&LogMel::n_frames, LogMel>)
      .def_property_readonly("simd", &constant<&LogMel::simd, LogMel>)
      .def("push", &push_samples, "chunk"_a.noconvert())
      .def("flush", &flush_samples)
      .def("reset", &reset<LogMel>);

  m.def("triple_norm", &triple_norm, "frames"_a.noconvert(), "top_db"_a,
        "simd"_a = "auto");

  py::class_<SharedGapFilter>(m, "GapFilter")
      .def(py::init(&make_gap_filter), py::kw_only(), "onset_thresholds"_a.noconvert(),
           "rise_thresholds"_a.noconvert(), "offset_thresholds"_a.noconvert(),
           "min_gaps"_a.noconvert(), "min_durations"_a.noconvert())
      .def_property_readonly("n_labels", &constant<&GapFilter::n_labels, GapFilter>)
      .def_property_readonly("n_frames", &state<&GapFilter::n_frames, GapFilter>)
      .def("push", &push_scores, "scores"_a.noconvert())
      .def("flush", &flush_scores)
      .def("reset", &reset<GapFilter>)
      .def("open_runs", &open_runs)
      .def("copy", &copy);
}
