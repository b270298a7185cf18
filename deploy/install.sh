#!/usr/bin/env bash
# Installs Hauspost on Raspberry Pi OS or Debian from the checkout this file lies in. Running it
# again updates; mail and settings are never overwritten.
set -euo pipefail
umask 022

usage() {
    cat <<'TEXT'
usage: sudo deploy/install.sh [--data DIR] [--no-start] [--check]
       sudo deploy/install.sh --uninstall

  --data DIR     keep the mail in DIR, such as a disk on USB (default /var/lib/hauspost)
  --no-start     install, but do not start the service
  --check        change nothing: say what would be done, and what stands in the way
  --uninstall    take the program away; the mail stays
  --prefix DIR   put everything below DIR instead of /, make no user and start nothing:
                 for trying it out, and for building packages; needs no sudo

The program goes to /opt/hauspost, the service to /etc/systemd/system/hauspost.service, the
command "hauspost" to /usr/local/bin. PYTHON=/path/to/python chooses another Python.
TEXT
}

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
warn() { printf 'Note: %s\n' "$*" >&2; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

prefix='' data='' start=yes mode=install
while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --data)
            if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 needs a directory"; fi
            if [ "$1" = --data ]; then data=$2; else prefix=$2; fi
            shift
            ;;
        --no-start) start=no ;;
        --check) mode=check ;;
        --uninstall) mode=uninstall ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$here")
if [ -n "$prefix" ]; then
    prefix=$(realpath -m -- "$prefix")
    start=no
fi
user=hauspost
program=$prefix/opt/hauspost
units=$prefix/etc/systemd/system
unit=$units/hauspost.service
drop_ins=$unit.d
command=$prefix/usr/local/bin/hauspost
default_data=$prefix/var/lib/hauspost
python=${PYTHON:-/usr/bin/python3}

# A second run without --data keeps to where the mail is.
installed_data() { sed -n 's/^Environment=HAUSPOST_DATA=//p' "$drop_ins/data.conf" 2>/dev/null || true; }
[ -n "$data" ] || data=$(installed_data)
data=$(realpath -m -- "${data:-$default_data}")
case $data in
    *[![:alnum:]/._-]*) fail "$data: use only letters, digits and . _ - in the name of the data directory" ;;
    / | /home | /root | /usr* | /etc* | /boot* | /proc* | /sys* | /dev* | /tmp* | /run*)
        [ -n "$prefix" ] || fail "$data: not a place to keep mail; choose a directory of its own, such as /srv/hauspost"
        ;;
    /home/* | /root/*)
        [ -n "$prefix" ] || fail "$data: the service may not look into home directories; choose one such as /srv/hauspost"
        ;;
esac

systemd_runs() { [ -z "$prefix" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }
owner() { if [ -n "$prefix" ]; then id -un; else echo $user; fi; }
group() { if [ -n "$prefix" ]; then id -gn; else echo $user; fi; }
as_owner() {
    if [ -n "$prefix" ]; then "$@"; else runuser -u $user -- "$@"; fi
}

# ---- what must be there -------------------------------------------------------------------

problems=0
problem() {
    printf 'Problem: %s\n' "$*" >&2
    problems=$((problems + 1))
}

check_machine() {
    local bits id='' id_like=''
    bits=$(getconf LONG_BIT)
    case $(uname -m) in
        aarch64 | arm64 | x86_64) [ "$bits" = 64 ] || problem "this system is 32-bit; Hauspost needs the 64-bit Raspberry Pi OS" ;;
        *) problem "this machine ($(uname -m)) is not supported; Hauspost runs on 64-bit ARM (Raspberry Pi 3 and newer) and on 64-bit PCs" ;;
    esac
    if [ -r /etc/os-release ]; then
        # shellcheck source=/dev/null
        id=$(. /etc/os-release && echo "${ID:-}") id_like=$(. /etc/os-release && echo "${ID_LIKE:-}")
    fi
    case " $id $id_like " in
        *" debian "* | *" raspbian "*) ;;
        *) warn "this is not Debian or Raspberry Pi OS; going on, untested" ;;
    esac
    if [ -z "$prefix" ] && [ "$(id -u)" -ne 0 ]; then
        problem "this needs the rights of the administrator; run it with: sudo $0"
    fi
}

check_python() {
    if ! command -v "$python" >/dev/null; then
        problem "there is no $python; install it with: sudo apt install python3 python3-venv"
    elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        problem "$("$python" --version) is too old; Hauspost needs Python 3.11, which Raspberry Pi OS has since 2023 (bookworm)"
    elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        problem "Python cannot make virtual environments; run: sudo apt install python3-venv"
    else
        case $("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))') in
            /home/* | /root/*) [ -n "$prefix" ] || problem "$python lies in a home directory, where the service may not look; use PYTHON=/usr/bin/python3" ;;
        esac
    fi
}

check_checkout() {
    local path
    for path in pyproject.toml README.md appliance web index deploy/hauspost.service; do
        [ -e "$checkout/$path" ] || problem "$checkout/$path is missing: this is not a whole copy of Hauspost"
    done
}

# The nearest directory that is there already, for asking about its disk.
there() {
    local path=$1
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    echo "$path"
}

is_empty() { [ ! -e "$1" ] || [ -z "$(ls -A -- "$1")" ]; }

# Somebody's photos are no place for our files, and must not get another owner.
check_data() {
    local name
    is_empty "$data" && return
    for name in config.toml household.sqlite3 archive; do
        [ ! -e "$data/$name" ] || return 0
    done
    problem "$data is not empty, and what is in it is not Hauspost's; choose a directory of its own, such as $data/hauspost"
}

check_disk() {
    local place device free
    place=$(there "$data")
    free=$(df -Pk -- "$place" | awk 'NR == 2 { print int($4 / 1024) }')
    [ "$free" -ge 1024 ] || warn "only $free MiB are free on the disk of $data"
    device=$(df -P -- "$place" | awk 'NR == 2 { print $1 }')
    [ "$device" != /dev/root ] || device=$(findmnt -no SOURCE / 2>/dev/null || echo /dev/root)
    case $device in
        /dev/mmcblk*)
            warn "the mail would lie on an SD card ($data). Cards wear out and die without a warning."
            warn "Better: a small SSD on USB, and: sudo $0 --data /mnt/ssd/hauspost. In any case make backups."
            ;;
    esac
}

# What the settings say: "no" or "yes" for ports below 1024, the scheme and port of the web pages
# (0 is off), and who can reach them: "here" is this machine only, "house" everybody at home.
settings() {
    as_owner "$program/bin/python" -c '
import sys
from pathlib import Path
from appliance.config import load
from appliance.errors import ConfigError
try:
    c = load(Path(sys.argv[1]))
except ConfigError as error:
    sys.exit(str(error))
low = any(0 < p < 1024 for p in (c.web_port, c.imap_port, c.imaps_port, c.smtp_port))
print("yes" if low else "no", "https" if c.web_tls_on else "http", c.web_port, "here" if c.loopback else "house")
' "$data"
}

# What only the program itself can judge: asked when one is installed already.
check_settings() {
    if [ -e "$data/config.toml" ] && [ -x "$program/bin/hauspost" ]; then
        settings >/dev/null || problem "the service would not start; correct $data/config.toml"
    fi
}

check_all() {
    check_machine
    check_python
    check_checkout
    check_data
    check_disk
    [ "$problems" -gt 0 ] || check_settings
    [ "$problems" -eq 0 ] || fail "nothing was changed; please solve the above first"
}

# ---- install ------------------------------------------------------------------------------

work='' builder='' new_program='' stopped=no
leave() {
    local status=$?
    [ -z "$work" ] || rm -rf -- "$work"
    if [ "$status" -ne 0 ] && [ -n "$new_program" ]; then rm -rf -- "$new_program"; fi
    if [ "$status" -ne 0 ] && [ $stopped = yes ]; then
        warn "the update failed; starting the service again as it is"
        systemctl start hauspost || true
    fi
}
trap leave EXIT

make_user() {
    [ -z "$prefix" ] || return 0
    if ! getent passwd $user >/dev/null; then
        step "making the user $user, who may not sign in"
        useradd --system --user-group --home-dir "$data" --no-create-home --shell /usr/sbin/nologin $user
    fi
}

# Not after an upgrade of the system, which takes away the Python that the program was made with.
program_fits() {
    [ "$("$program/bin/python" -c 'import sys, pip; print(*sys.version_info[:2])' 2>/dev/null)" = \
        "$("$python" -c 'import sys; print(*sys.version_info[:2])')" ]
}

# Everything is fetched and built before the running service is touched.
prepare_program() {
    local name
    step "fetching and building the program (a few minutes on a small machine)"
    work=$(mktemp -d)
    mkdir "$work/source"
    # A copy: a build leaves files behind, and an old build directory would bring back deleted ones.
    for name in pyproject.toml README.md LICENSE appliance web index; do
        cp -R -- "$checkout/$name" "$work/source/"
    done
    find "$work/source" -name __pycache__ -prune -exec rm -rf {} +
    if [ ! -e "$program" ]; then
        new_program=$program
        mkdir -p -- "$(dirname "$program")"
        "$python" -m venv "$program"
    fi
    builder=$program
    if ! program_fits; then
        builder=$work/venv
        "$python" -m venv "$builder"
    fi
    "$builder/bin/python" -m pip wheel -q --disable-pip-version-check -w "$work/wheels" "$work/source[pdf]" ||
        fail "the program could not be fetched or built: is this machine on the internet? Nothing was changed"
}

install_program() {
    if systemd_runs && systemctl -q is-active hauspost; then
        step "stopping the service for a moment"
        systemctl stop hauspost
        stopped=yes
    fi
    step "installing the program to $program"
    if ! program_fits; then "$python" -m venv --clear "$program"; fi
    "$program/bin/python" -m pip install -q --disable-pip-version-check --no-index --no-deps \
        --force-reinstall "$work"/wheels/*.whl
    install -m 0644 -- "$checkout/LICENSE" "$here/config.example.toml" "$program/"
    "$program/bin/hauspost" --version >/dev/null || fail "the program does not run; please report what stands above"
    new_program=''
}

install_data() {
    if is_empty "$data"; then
        mkdir -p -- "$(dirname "$data")"
        install -d -m 0700 -o "$(owner)" -g "$(group)" -- "$data"
    fi
    as_owner test -w "$data" || fail "$data: the user $(owner) may not write there; run: sudo chown -R $user: $data"
    if [ ! -e "$data/config.toml" ]; then
        step "writing the settings to $data/config.toml"
        # The one thing that differs from a program tried out on a desk: the house may come in.
        sed 's/^# host = "127\.0\.0\.1"$/host = "0.0.0.0"/' "$here/config.example.toml" >"$data/.config.toml"
        chmod 0600 "$data/.config.toml"
        chown "$(owner):$(group)" "$data/.config.toml"
        mv -- "$data/.config.toml" "$data/config.toml"
    fi
}

install_unit() {
    local low
    step "installing the service to $unit"
    mkdir -p -- "$drop_ins"
    install -m 0644 -- "$here/hauspost.service" "$unit"
    if [ "$data" = "$default_data" ]; then
        rm -f -- "$drop_ins/data.conf"
    else
        cat >"$drop_ins/data.conf" <<TEXT
# Written by install.sh --data: the mail lies elsewhere.
[Unit]
RequiresMountsFor=$data

[Service]
StateDirectory=
ReadWritePaths=$data
Environment=HAUSPOST_DATA=$data
TEXT
    fi
    low=$(settings) || fail "please correct $data/config.toml and run this again"
    if [ "${low%% *}" = yes ]; then
        install -m 0644 -- "$here/low-ports.conf" "$drop_ins/low-ports.conf"
    else
        rm -f -- "$drop_ins/low-ports.conf"
    fi
    rmdir --ignore-fail-on-non-empty -- "$drop_ins"
}

# The command on the path acts as the owner of the mail: files made by root would be in its way.
install_command() {
    mkdir -p -- "$(dirname "$command")"
    cat >"$command" <<TEXT
#!/bin/sh
# Written by Hauspost's install.sh.
HAUSPOST_DATA=\${HAUSPOST_DATA:-$data}
export HAUSPOST_DATA
if [ "\$(id -un)" = $(owner) ]; then exec $program/bin/hauspost "\$@"; fi
if [ "\$(id -u)" -ne 0 ]; then
    echo "hauspost: the mail belongs to the user $(owner); run: sudo hauspost \$*" >&2
    exit 1
fi
exec runuser -u $(owner) -- $program/bin/hauspost "\$@"
TEXT
    chmod 0755 "$command"
}

start_service() {
    local scheme port reach address code=''
    read -r _ scheme port reach < <(settings)
    if ! systemd_runs; then
        [ -n "$prefix" ] || say "systemd does not run here: nothing was started."
        say "Start it by hand with: $command run"
        return
    fi
    systemctl daemon-reload
    if [ $start = no ]; then
        say "Start it with: sudo systemctl enable --now hauspost"
        return
    fi
    step "starting the service"
    systemctl enable -q hauspost
    systemctl restart hauspost || fail "the service did not start; the reason is in: sudo journalctl -u hauspost -n 30"
    stopped=no
    address=$(hostname -I 2>/dev/null | awk '{ print $1 }')
    say
    if [ "$port" = 0 ]; then
        say "Hauspost runs, without web pages (web_port = 0 in $data/config.toml)."
        return
    elif [ "$reach" = here ]; then
        say "Hauspost runs, for this machine only (host in $data/config.toml). Open this page on it:"
        say "    $scheme://localhost:$port"
    else
        say "Hauspost runs. Open this page on any computer or phone at home:"
        say "    $scheme://$(hostname -s).local:$port"
        [ -z "$address" ] || say "or  $scheme://$address:$port"
    fi
    [ "$scheme" = http ] || say "The browser warns of the certificate, because Hauspost has made it itself: go on to the page."
    journalctl --sync 2>/dev/null || true
    code=$(journalctl -q -o cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value hauspost)" |
        sed -n 's/.*enter the code \([0-9]*\)$/\1/p' | tail -n 1)
    [ -z "$code" ] || say "and enter the code $code"
}

uninstall() {
    if [ -z "$prefix" ] && [ "$(id -u)" -ne 0 ]; then
        fail "this needs the rights of the administrator; run it with: sudo $0 --uninstall"
    fi
    if systemd_runs; then systemctl -q disable --now hauspost 2>/dev/null || true; fi
    rm -rf -- "$program"
    rm -f -- "$unit" "$drop_ins/data.conf" "$drop_ins/low-ports.conf" "$command"
    [ ! -d "$drop_ins" ] || rmdir --ignore-fail-on-non-empty -- "$drop_ins"
    if systemd_runs; then systemctl daemon-reload; fi
    say "The program is gone."
    if [ -d "$data" ]; then
        say "Your mail and settings are still there: $data"
        [ "$data" = "$default_data" ] || say "To use them again, install with: --data $data"
        say "To delete all mail of this house for ever: sudo rm -r $data"
    fi
}

case $mode in
    check)
        check_all
        say "Nothing stands in the way. This would be done:"
        say "  the program    to $program, with $("$python" --version)"
        say "  the mail       in $data$([ ! -e "$data/config.toml" ] || echo " (there already, and kept)")"
        say "  the service    $unit, run by the user $(owner)"
        say "  the command    $command"
        ;;
    uninstall) uninstall ;;
    install)
        check_all
        prepare_program
        make_user
        install_program
        install_data
        install_unit
        install_command
        start_service
        ;;
esac
