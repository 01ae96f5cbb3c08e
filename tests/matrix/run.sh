#!/usr/bin/env bash
# Runs the core of the suite on other Pythons, and on the oldest versions that pyproject.toml claims.
#
#   tests/matrix/run.sh [trixie] [sid] [oldest]      all three without arguments
#
# trixie and sid are Debian's releases, each in a chroot that debootstrap makes (as root; the first time
# takes some minutes and 3 GB). Debian has torch, numba, numpy and scipy (debian.txt); the rest is from
# pip, without dependencies (pip.txt). "oldest" is a virtual environment (oldest.txt).
#
#   MATRIX   the folder of chroots and environments, outside the checkout
#   TESTS    what pytest runs
#   PYTHON   a Python 3.11 with pip
set -uo pipefail
cd "$(dirname "$0")/../.."

MATRIX=${MATRIX:-${XDG_CACHE_HOME:-$HOME/.cache}/mfenvs-matrix}
TESTS=${TESTS:-tests/mfenvs tests/mfq tests/installs tests/test_imports.py tests/test_cli.py}
PYTHON=${PYTHON:-python3.11}
HERE=tests/matrix
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 SDL_VIDEODRIVER=dummy

VERSIONS='
import importlib.metadata as metadata, sys
names = "torch", "numba", "numpy", "scipy", "gymnasium", "pettingzoo", "matplotlib"
versions = {part.name.lower(): part.version for part in metadata.distributions()}
print("python", sys.version.split()[0], *(f"{name} {versions.get(name)}" for name in names))
'

# Copies the files of the checkout, committed or not, to an empty folder.
copy_sources() {
    rm -rf "$1" && mkdir -p "$1"
    git ls-files --cached --others --exclude-standard -z |
        tar --null --files-from=- --ignore-failed-read --create 2>/dev/null |
        tar --extract --directory "$1"
}

# Runs a command in a chroot that has /proc and /dev. They are unmounted when it ends.
inside() {
    unshare --mount --propagation private bash -c '
        root=$1; shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && exec chroot "$root" "$@"
    ' inside "$@"
}

make_chroot() {
    local suite=$1 root=$MATRIX/$1 version
    rm -rf "$root"
    debootstrap --variant=minbase "$suite" "$root" || return
    cp /etc/resolv.conf "$root/etc/"
    # shellcheck disable=SC2046
    inside "$root" apt-get install --yes --no-install-recommends $(<"$HERE/debian.txt") || return
    version=$(inside "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$PYTHON" -m pip install --target "$root/usr/local/lib/python$version/dist-packages" --no-deps \
        --only-binary=:all: --implementation cp --python-version "$version" --requirement "$HERE/pip.txt"
}

make_oldest() {
    local root=$MATRIX/oldest
    rm -rf "$root"
    "$PYTHON" -m venv "$root" &&
        "$root/bin/python" -m pip install --requirement "$HERE/oldest.txt"
}

run_tests() {  # by a command that is a Python
    local words=("$@")
    "${words[@]}" -c "$VERSIONS"
    # shellcheck disable=SC2086
    "${words[@]}" -m pytest -p no:cacheprovider -p no:xdist -m 'not slow and not third_party' $TESTS
}

[[ $# -gt 0 ]] || set -- trixie sid oldest
mkdir -p "$MATRIX"
failed=0 table=()
for name; do
    root=$MATRIX/$name log=$MATRIX/$name.log
    echo "== $name (log: $log)"
    # Made anew where the lists have changed.
    wanted=$(cat "$HERE"/*.txt | sha256sum)
    if [[ $(cat "$root/.made-from" 2>/dev/null) != "$wanted" ]]; then
        make=make_chroot
        [[ $name == oldest ]] && make=make_oldest
        if ! "$make" "$name" >"$root.install.log" 2>&1; then
            table+=("$name|not made: $root.install.log|") failed=1
            continue
        fi
        echo "$wanted" >"$root/.made-from"
    fi
    copy_sources "$root/opt/checkout"
    if [[ $name == oldest ]]; then
        command=(env -C "$root/opt/checkout" "NUMBA_CACHE_DIR=$root/opt/rules"
            "PYTHONPATH=$root/opt/checkout" "$root/bin/python")
    else
        command=(inside "$root" env -C /opt/checkout HOME=/root NUMBA_CACHE_DIR=/opt/rules
            PYTHONPATH=/opt/checkout python3)
    fi
    run_tests "${command[@]}" >"$log" 2>&1 || failed=1
    grep -E '^(FAILED|ERROR)' "$log"
    table+=("$name|$(tail -n 1 "$log")|$(grep -m 1 '^python ' "$log")")
done
printf '%s\n' "${table[@]}" | column -t -s '|'
exit "$failed"
