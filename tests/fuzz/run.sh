#!/usr/bin/env bash
# Searches inputs that break the core or a reader of strangers' files, for FUZZ_SECONDS in
# all (an hour): half of it the core by libFuzzer, under AddressSanitizer and UBSan; the
# rest the targets of fuzz_targets.py by Atheris. What is found in each, bit by bit, is
# kept in build/fuzz. Ends with 1 at the first defect; its input belongs into corpus/,
# where the tests read it ever after.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
seconds=${FUZZ_SECONDS:-3600}
corpus=tests/fuzz/corpus
found=build/fuzz
export PATH="$PWD/.venv/bin:$PATH"

can_fuzz() {  # COMPILER: whether it brings libFuzzer
  command -v "$1" > /dev/null \
    && echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' \
    | "$1" -x c++ -fsanitize=fuzzer,address -o "$found/probe" - 2> /dev/null
}

find_clang() {
  for compiler in clang++ clang++-{22..14}; do
    if can_fuzz "$compiler"; then
      echo "$compiler"
      return
    fi
  done
}

install_clang() {
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  command -v apt-get > /dev/null && $sudo apt-get update \
    && $sudo apt-get install -y --no-install-recommends clang libclang-rt-14-dev \
    || $sudo apt-get install -y clang || return 0
}

fuzz() {  # NAME SECONDS COMMAND...
  mkdir -p "$found/$1"
  echo "fuzzing $1 for $2 s"
  local log="$found/$1.log"
  if ! "${@:3}" -max_total_time="$2" -max_len=4096 -timeout=300 -rss_limit_mb=2048 \
      -artifact_prefix="$found/$1-" "$found/$1" "$corpus/$1" > "$log" 2>&1; then
    tail -n 40 "$log"
    echo "a defect in $1: once mended, put $found/$1-crash-... into $corpus/$1"
    return 1
  fi
  grep -E "^Done|core calls" "$log"
}

mkdir -p "$found"
clang=$(find_clang)
if [ -z "$clang" ]; then
  install_clang
  clang=$(find_clang)
fi
if [ -n "$clang" ]; then
  CXX=$clang cmake -S . -B build/fuzz-core -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DSTREAMSED_WERROR=ON -DSTREAMSED_SANITIZE=address,undefined \
    -DSTREAMSED_EMULATE_AVX512=ON -DSTREAMSED_PROGRAMS=ON
  cmake --build build/fuzz-core --target core_fuzz
  fuzz core $((seconds / 2)) build/fuzz-core/core_fuzz
else
  echo "SKIPPED: fuzzing the core, as no clang with libFuzzer is to be had"
fi

if "$python" -c "import atheris" 2> /dev/null; then
  mapfile -t targets < <("$python" tests/fuzz/fuzz.py)
  for name in "${targets[@]}"; do
    fuzz "$name" $((seconds / 2 / ${#targets[@]} + 1)) "$python" tests/fuzz/fuzz.py "$name"
  done
else
  echo "SKIPPED: fuzzing the readers, as Atheris is not there for this Python"
fi
