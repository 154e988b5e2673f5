#!/usr/bin/env bash
# Assembles a stand-in for the official slim image of Bun, for machines without a container registry at hand: Debian by
# debootstrap, the given Bun, and its user. The mirror is the one that this machine's apt uses.
# Usage: base.sh <bun binary> <image name> <folder for the downloaded system>; buildah's storage is set by the caller.
set -euo pipefail
bun=$1 image=$2 cache=$3

read -r mirror suite < <(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' | sed -n 1p)
system="$cache/debian-$suite.tar"
if [[ ! -f $system ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  debootstrap --variant=minbase "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
  rm -rf "$work/root"/var/cache/apt/archives/*.deb "$work/root"/var/lib/apt/lists/* "$work/root"/etc/apt/sources.list*
  rm -rf "$work/root"/usr/share/{doc,man,locale}/*
  mkdir -p "$cache"
  tar --create --file "$system.part" --directory "$work/root" --exclude=./dev/* --exclude=./proc/* --exclude=./sys/* .
  mv "$system.part" "$system"
fi

container=$(buildah from scratch)
buildah add --quiet "$container" "$system" / >/dev/null
buildah add --quiet --chmod 755 "$container" "$bun" /usr/local/bin/bun >/dev/null
buildah run --isolation chroot "$container" -- sh -c 'echo bun:x:1000: >>/etc/group && echo bun:x:1000:1000::/home/bun:/bin/sh >>/etc/passwd && install -d -o 1000 -g 1000 /home/bun'
buildah commit --quiet --rm "$container" "$image" >/dev/null
