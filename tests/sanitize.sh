#!/usr/bin/env bash
# The core under AddressSanitizer and UBSan, then under ThreadSanitizer: its tests through
# Python, and without it four threads and the fuzzer's inputs. The code for AVX-512 runs
# as well, compiled for AVX2, so that any recent machine checks it. Arguments go to
# pytest; THREAD_SECONDS says how long the threads run.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export PATH="$PWD/.venv/bin:$PATH"

build() {  # FOLDER SANITIZERS [SETTING...]
  cmake -S . -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSTREAMSED_WERROR=ON \
    -DSTREAMSED_EMULATE_AVX512=ON -DSTREAMSED_SANITIZE="$2" "${@:3}"
  cmake --build "$1"
}

# Python itself is not sanitized, so the sanitizer's library must be there before it.
test_extension() {  # FOLDER LIBRARY TESTS [PYTEST'S ARGUMENT...]
  LD_PRELOAD="$(g++ -print-file-name="$2"):$(g++ -print-file-name=libstdc++.so)" \
  SKBUILD_EDITABLE_SKIP="$(printf '%s:' "$PWD"/build/*)" \
  "$python" - "$1" "$3" "${@:4}" <<'PYTHON'
import importlib.util
import sys
from pathlib import Path

import pytest

# The sanitized core takes the installed one's place before anything imports it.
folder, names, *arguments = sys.argv[1:]
(core,) = Path(folder).glob("_core*.so")
spec = importlib.util.spec_from_file_location("streamsed._core", core)
sys.modules["streamsed._core"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["streamsed._core"])

tests = [f"tests/core/test_{name}.py" for name in names.split()]
sys.exit(pytest.main([*tests, "-p", "no:cacheprovider", "-m", "not slow", *arguments]))
PYTHON
}

for sanitizers in address,undefined thread; do
  folder=build/sanitize-${sanitizers%,*}
  build "$folder" "$sanitizers" -DPython_EXECUTABLE="$(command -v "$python")" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)"
  build "$folder-programs" "$sanitizers" -DSTREAMSED_PROGRAMS=ON
  "$folder-programs/core_threads" "${THREAD_SECONDS:-10}"
  "$folder-programs/core_fuzz" 1000 tests/fuzz/corpus/core/*
done

# Python never frees all that it allocates, hence no leak check.
export UBSAN_OPTIONS=print_stacktrace=1
ASAN_OPTIONS=detect_leaks=0 test_extension build/sanitize-address libasan.so \
  "log_mel triple_norm gap_filter hostile_arguments threads" "$@"
test_extension build/sanitize-thread libtsan.so "threads" "$@"
