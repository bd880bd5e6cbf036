# What the scripts below images/ share. Sourced, never run.

# One line of progress, on stderr: stdout stays free for data.
say() { printf '== %s\n' "$*" >&2; }

# The way out, then the end.
die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  hint: %s\n' "$2" >&2
  exit 1
}

# need PROGRAM PACKAGE: ends with the way out where PROGRAM is missing.
need() {
  command -v "$1" >/dev/null 2>&1 ||
    die "$1 is not installed" "apt-get install $2   (or: make bootstrap)"
}

# The image must be named by the caller, and there must be an engine to leave it in.
need_engine() {
  [ -n "${WITWD_IMAGE:-}" ] ||
    die "WITWD_IMAGE is not set" "witwd sets it; by hand: WITWD_IMAGE=NAME[:TAG] $0"
  need docker docker.io
  docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
    die "no Docker engine answers" "start it (systemctl start docker), or see DOCKER_HOST; make bootstrap does it on Debian"
}

# The size of an image for people, "47 MB".
image_size() {
  docker image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.0f MB", $1 / 1000000 }'
}

# static_binary PACKAGE BIN: builds a static glibc binary and prints its path.
# The target is named, so that the flag does not reach build scripts and proc macros.
static_binary() {
  need cargo "cargo, or see https://rustup.rs"
  local host target
  host=$(rustc -vV | sed -n 's/^host: //p')
  target=${CARGO_TARGET_DIR:-target}
  RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --quiet --locked --release --target "$host" -p "$1" --bin "$2" >&2
  printf '%s/%s/release/%s\n' "$target" "$host" "$2"
}

# load_image LAYER.tar CONFIG: leaves an image of one layer in the engine as WITWD_IMAGE.
# CONFIG is the inside of the "config" object of the image format. `docker import` would do for most
# of it, but knows no stop signal; a build would need BuildKit or an engine that still has the old one.
load_image() {
  local layer=$1 config=$2 dir digest arch tag=$WITWD_IMAGE now
  case ${tag##*/} in *:*) ;; *) tag=$tag:latest ;; esac
  case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
  digest=$(sha256sum "$layer" | cut -d' ' -f1)
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  dir=$(dirname "$layer")
  [ "$(basename "$layer")" = layer.tar ] || die "the layer must be called layer.tar"
  printf '{"architecture":"%s","os":"linux","created":"%s","config":{%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"%s"}]}' \
    "$arch" "$now" "$config" "$digest" "$now" "${0##*/}" > "$dir/config.json"
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$tag" > "$dir/manifest.json"
  tar -c -C "$dir" manifest.json config.json layer.tar | docker load --quiet >/dev/null
}

# binary_image FILE CONFIG: an image `FROM scratch` of that one file, labelled with its hash.
# Says so and does nothing when the image there already has that hash.
binary_image() {
  local file=$1 config=$2 hash dir
  hash=$({ cat "$file"; printf '%s' "$config"; } | sha256sum | cut -d' ' -f1)
  if [ "$(docker image inspect --format '{{index .Config.Labels "dev.witwd.content"}}' \
    "$WITWD_IMAGE" 2>/dev/null)" = "$hash" ]; then
    say "$WITWD_IMAGE is up to date"
    return
  fi
  dir=$(mktemp -d)
  # shellcheck disable=SC2064  # the directory of now
  trap "rm -rf '$dir'" EXIT
  tar -c --owner=0 --group=0 --numeric-owner --mtime=@0 -f "$dir/layer.tar" \
    -C "$(dirname "$file")" "$(basename "$file")"
  load_image "$dir/layer.tar" "$config,\"Labels\":{\"dev.witwd.content\":\"$hash\"}"
  say "$WITWD_IMAGE: $(image_size "$WITWD_IMAGE")"
}
