# What the scripts share that make an image from Debian's packages. Sourced after lib.bash, never run.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The program, the keys and, without root, the means to install packages into a directory.
need_debian() {
  need mmdebstrap mmdebstrap
  [ -r "$keyring" ] || die "$keyring is missing" "apt-get install debian-archive-keyring"
  if [ "$(id -u)" != 0 ]; then
    need newuidmap uidmap
    grep -q "^$(id -un):" /etc/subuid 2>/dev/null ||
      die "$(id -un) has no subordinate ids, which mmdebstrap needs to work without root" \
        "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)   (or run as root)"
  fi
}

# The mirror that this machine's apt uses for Debian, so that a local mirror serves here too.
mirror_for() {
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v want="$1" '$1 == "Debian" && $2 ~ want { print $2; exit }'
}

# sources SUITE: where its packages come from.
sources() {
  local main security
  main=$(mirror_for '/debian/?$')
  security=$(mirror_for '/debian-security/?$')
  main=${main:-http://deb.debian.org/debian}
  security=${security:-http://deb.debian.org/debian-security}
  printf 'deb %s %s main\n' "$main" "$1" "$main" "$1-updates" "$security" "$1-security"
}

# What this machine's apt says of proxies, certificates and time-outs.
# The first line is there because mmdebstrap complains of an empty file.
apt_options() {
  echo '// as on the machine that made this image'
  apt-config dump 2>/dev/null |
    grep -E '^Acquire::(https?|Retries|Check-Valid-Until|ForceIPv[46])' | grep -v '""' || true
}

# debian_layer DIRECTORY SUITE PACKAGES [OPTION...]: the essential packages of a release and these, as
# DIRECTORY/layer.tar; options are mmdebstrap's.
# mmdebstrap ends its whole process group when it fails: it gets one of its own.
# newuidmap, which it uses, refuses a user whose first group is not the own one, as under `sg docker`.
debian_layer() {
  local directory=$1 suite=$2 packages=$3 pid own command
  shift 3
  apt_options > "$directory/apt.conf"
  sources "$suite" > "$directory/sources.list"
  command=(mmdebstrap --quiet --variant=essential --format=tar --keyring="$keyring" --include="$packages" \
    --aptopt="$directory/apt.conf" --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$@" "$suite" "$directory/layer.tar" "$directory/sources.list")
  own=$(id -gn "$(id -un)")
  [ "$(id -gn)" = "$own" ] || command=(sg "$own" -c "$(printf '%q ' "${command[@]}")")
  setsid "${command[@]}" &
  pid=$!
  # shellcheck disable=SC2064  # the process of now
  trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM HUP
  wait "$pid" || die "the packages could not be installed; what mmdebstrap said stands above"
}
