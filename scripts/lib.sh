# shellcheck shell=bash
# Functions that the scripts share. The script that sources it must use `set -euo pipefail`.

PLUG_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# ccache keeps precompiled headers only if it may ignore their #defines and the macros of the time.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}

say() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# plug_setup [--all]: installs missing packages.
plug_setup() { "$PLUG_ROOT/scripts/setup" "$@"; }

# plug_install PACKAGE...: installs Debian packages that are missing. Without the right to do so,
# prints the command.
plug_install() {
  local package state missing=() as_root=()
  if ! command -v dpkg-query >/dev/null; then
    echo "$(basename "$0"): not a Debian system; install what these packages hold: $*" >&2
    return
  fi
  for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [[ $state == ii* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      die "packages are missing; as root, run:
  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    fi
  fi

  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "${missing[@]}"
}

# plug_in PRESET COMMAND...: runs the command at the root of the tree, in the way that the preset's
# programs need.
plug_in() {
  local preset=$1 launcher=()
  shift
  # The thread sanitizer of g++ 12 cannot start if the kernel randomizes more than 28 bits of
  # addresses (vm.mmap_rnd_bits). Without randomization it always starts.
  if [[ $preset == tsan ]] && setarch -R true 2>/dev/null; then
    launcher=(setarch -R)
  fi
  (cd "$PLUG_ROOT" && "${launcher[@]}" "$@")
}

# plug_build PRESET [TARGET...]: configures build/PRESET, and builds everything or the targets.
plug_build() {
  local preset=$1 targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  plug_in "$preset" cmake --preset "$preset" &&
    plug_in "$preset" cmake --build --preset "$preset" "${targets[@]}"
}

# plug_sources: prints the C++ files of the tree, one a line, relative to its root.
plug_sources() {
  (cd "$PLUG_ROOT" &&
    find include src examples tests bench python \( -name '*.cpp' -o -name '*.hpp' \) | sort)
}
