# shellcheck shell=bash
# What the scripts share. Source it; it expects `set -euo pipefail`.

PLUG_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# ccache keeps precompiled headers only when it may trust their timestamps and defines.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}

say() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# plug_setup [--all]: installs the packages that are missing.
plug_setup() { "$PLUG_ROOT/scripts/setup" "$@"; }

# plug_install PACKAGE...: installs those of Debian's packages that are missing; says how where it
# may not.
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

# plug_in PRESET COMMAND...: runs it at the root of the tree, as the preset's programs need it.
plug_in() {
  local preset=$1 launcher=()
  shift
  # The thread sanitizer of g++ 12 cannot start where the kernel spreads addresses over more than
  # 28 bits (vm.mmap_rnd_bits): without spreading it always can.
  if [[ $preset == tsan ]] && setarch -R true 2>/dev/null; then
    launcher=(setarch -R)
  fi
  (cd "$PLUG_ROOT" && "${launcher[@]}" "$@")
}

# plug_build PRESET [TARGET...]: configures it in build/PRESET and builds everything, or the targets.
plug_build() {
  local preset=$1 targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  plug_in "$preset" cmake --preset "$preset" &&
    plug_in "$preset" cmake --build --preset "$preset" "${targets[@]}"
}

# plug_sources: the C++ files of the tree, one a line, relative to its root.
plug_sources() {
  (cd "$PLUG_ROOT" &&
    find include src examples tests bench python \( -name '*.cpp' -o -name '*.hpp' \) | sort)
}
