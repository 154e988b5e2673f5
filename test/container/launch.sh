#!/usr/bin/env bash
# Runs a command in an unpacked image as a container engine would: as its process 1, under the given uid, on a read-only
# root, with the volume at /data. Shares the machine's network. Needs root.
# Usage: launch.sh <root> <folder of the volume> <uid:gid> <command …>; the environment is the image's, and the caller's.
set -euo pipefail
exec unshare --mount --pid --fork --kill-child -- bash -euc '
  root=$1 volume=$2 user=$3
  shift 3
  mount --bind "$root" "$root"
  mount -o remount,bind,ro "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount -t tmpfs tmpfs "$root/dev"
  mkdir -m 1777 "$root/dev/shm"
  for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mount --bind "$volume" "$root/data"
  exec chroot --userspec="$user" "$root" "$@"
' launch "$@"
