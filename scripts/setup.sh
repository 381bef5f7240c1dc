#!/usr/bin/env bash
# Installs what `make demo` and `make test` need on a bare Debian 12 (as root). Safe to run again: each step first looks.
# Nothing is written into the checkout; caches live in $NETPRECURSOR_CACHE (default: ~/.cache/netprecursor).
# On other distributions install the packages named below by hand; the script then only checks.
set -euo pipefail

cache=${NETPRECURSOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netprecursor}
stamp="$cache/setup"
mkdir -p "$stamp"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

# What each package is for:
#   build-essential pkg-config curl ca-certificates git  build of the workspace
#   iproute2 nginx-light wrk iperf3 stress-ng procps      lab: namespaces, servers, load
#   chromium                                              screenshot of the dashboard in the tests
#   qemu-system-x86 busybox-static kmod                   virtual machine with Debian's own kernel
base_packages=(build-essential pkg-config curl ca-certificates git iproute2 nginx-light wrk iperf3 stress-ng procps
  qemu-system-x86 busybox-static kmod python3 python3-venv chromium)

is_installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

apt_updated=
install_packages() {
  local missing=() package
  for package in "$@"; do is_installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "missing packages: ${missing[*]}; got a system without apt-get, expected Debian 12; install them with your package manager"
  [ "$(id -u)" = 0 ] || die "missing packages: ${missing[*]}; got uid $(id -u), expected root; run: sudo apt-get install ${missing[*]}"
  if [ -z "$apt_updated" ]; then say "apt-get update"; apt-get update -qq; apt_updated=yes; fi
  say "installing ${missing[*]}"
  # Services of packages (nginx) must not start on the machine: the lab runs its own inside namespaces.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; fi
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >"$stamp/apt.log" 2>&1 || status=$?
  [ -z "$made" ] || rm -f "$policy"
  [ $status = 0 ] || { tail -n 20 "$stamp/apt.log" >&2; die "apt-get install failed (exit $status); the log is $stamp/apt.log"; }
}

# Rust for the host side: rustup where it is, else rustup from its Debian-independent installer is the user's choice.
rust_host() {
  command -v cargo >/dev/null && return 0
  [ -x "$HOME/.cargo/bin/cargo" ] && { export PATH="$HOME/.cargo/bin:$PATH"; return 0; }
  # Debian's backport of a current toolchain also builds the host side.
  install_packages rustc-web cargo-web
}

# Rust for the BPF side needs the library's source (-Z build-std=core) and an LLVM of the compiler's own version:
# rustup's nightly with rust-src where both are there, else Debian's rustc-web with rust-web-src.
nightly_has_source() {
  command -v rustup >/dev/null || return 1
  local root
  root=$(rustc +nightly --print sysroot 2>/dev/null) || return 1
  [ -d "$root/lib/rustlib/src/rust/library/core" ]
}

bpf_toolchain() {
  if nightly_has_source; then
    say "BPF toolchain: rustup nightly with rust-src"
    command -v bpf-linker >/dev/null || cargo install --locked bpf-linker --root "$cache/tools"
    return 0
  fi
  install_packages rustc-web cargo-web rust-web-src llvm-22-dev libzstd-dev zlib1g-dev
  say "BPF toolchain: Debian's rustc-web ($(rust_web_bin rustc --version))"
  [ -x "$cache/tools/bin/bpf-linker" ] && return 0
  say "building bpf-linker (about a minute, once)"
  RUSTFLAGS="-L $(llvm-config-22 --libdir)" cargo install bpf-linker --version 0.13.0 --locked \
    --no-default-features --features llvm-22 --root "$cache/tools" >"$stamp/bpf-linker.log" 2>&1 ||
    { tail -n 20 "$stamp/bpf-linker.log" >&2; die "bpf-linker did not build; the log is $stamp/bpf-linker.log"; }
}

rust_web_bin() { local tool=$1; shift; "$(dpkg -L "$tool-web" | grep -E "/bin/$tool(-web)?\$|/$tool\$" | head -n 1)" "$@"; }

case "${1:-all}" in
  all) install_packages "${base_packages[@]}"; rust_host; bpf_toolchain; say "ready" ;;
  *) die "got '$1', expected no argument" ;;
esac
