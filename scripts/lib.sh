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
