#!/usr/bin/env bash
# Build the source archive and from it the wheel, install that beside the tested packages, and
# use it from another folder: what either lacks shows here, not in the source folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$root/.venv/bin/python" -m build --sdist --no-isolation --outdir "$work" "$root" > /dev/null
"$root/.venv/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation \
  --wheel-dir "$work" "$work"/streamsed-*.tar.gz

# The extension must need no library and no symbol that other systems lack.
if [ "$(uname)" = Linux ]; then
  "$root/.venv/bin/python" -m auditwheel show "$work"/streamsed-*.whl > "$work/audit"
  tr '\n' ' ' < "$work/audit" | grep -o 'platform tag: "manylinux_[^"]*"' \
    || { cat "$work/audit"; exit 1; }
fi
"$root/.venv/bin/python" - "$work"/streamsed-*.whl <<'PYTHON'
import sys, zipfile
tops = {name.split("/")[0] for name in zipfile.ZipFile(sys.argv[1]).namelist()}
strangers = {top for top in tops if top != "streamsed" and not top.endswith(".dist-info")}
sys.exit(f"the wheel holds strangers: {strangers}" if strangers else 0)
PYTHON

# An environment of its own that finds our dependencies, but not our editable install.
"$root/.venv/bin/python" -m venv --without-pip "$work/venv"
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
theirs=$("$root/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$root/.venv/bin/python" -m pip install --quiet --no-deps --target "$site" "$work"/*.whl
echo "$theirs" > "$site/dependencies.pth"  # searched after the wheel

cd "$work"
"$work/venv/bin/python" -c "
import streamsed._core as core
assert core.__file__.startswith('$work'), core.__file__
print('the wheel runs', core.simd_targets())"
"$work/venv/bin/python" -m streamsed file "$root/tests/data/dog.flac" | tee events.tsv
grep -q Dog events.tsv
