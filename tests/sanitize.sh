#!/usr/bin/env bash
# Runs the core's tests under AddressSanitizer and UBSan, in a build of its own; the code
# for AVX-512 runs as well, compiled for AVX2, so that any recent machine checks it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export PATH="$PWD/.venv/bin:$PATH"

cmake -S . -B build/sanitize -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DSTREAMSED_WERROR=ON -DSTREAMSED_SANITIZE=ON -DSTREAMSED_EMULATE_AVX512=ON \
  -DPython_EXECUTABLE="$(command -v "$python")" \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)"
cmake --build build/sanitize

# Python itself is not sanitized, so the libraries must be there before it. It never frees
# all it allocates, hence no leak check.
LD_PRELOAD="$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libstdc++.so)" \
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
SKBUILD_EDITABLE_SKIP="$(printf '%s:' "$PWD"/build/*)" \
"$python" - "$@" <<'PYTHON'
import importlib.util
import sys
from pathlib import Path

import pytest

# The sanitized core takes the installed one's place before anything imports it.
(core,) = Path("build/sanitize").glob("_core*.so")
spec = importlib.util.spec_from_file_location("streamsed._core", core)
sys.modules["streamsed._core"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["streamsed._core"])

tests = [f"tests/core/test_{part}.py" for part in ("log_mel", "triple_norm", "gap_filter")]
sys.exit(pytest.main([*tests, "-p", "no:cacheprovider", "-m", "not slow", *sys.argv[1:]]))
PYTHON
