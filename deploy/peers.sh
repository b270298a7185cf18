#!/usr/bin/env bash
# Installs the mail programs and servers that `make accept` tests against (Debian packages).
# Where it may not install, it names what is missing and fails.
set -euo pipefail

declare -A package=(
    [dovecot]=dovecot-imapd [pop3d]=dovecot-pop3d [mbsync]=isync [neomutt]=neomutt
    [curl]=curl [chromium]=chromium [shellcheck]=shellcheck [systemd-analyze]=systemd
    [strace]=strace [script]=bsdutils
)
here() {
    case $1 in
        dovecot) [ -x /usr/sbin/dovecot ] && [ -x /usr/lib/dovecot/imap ] ;;
        pop3d) [ -x /usr/lib/dovecot/pop3 ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing=()
for program in "${!package[@]}"; do
    here "$program" || missing+=("${package[$program]}")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "make accept needs these Debian packages: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "make accept needs more programs. Install them with: sudo $install" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# A server that the package starts would only be in the way; the tests start their own.
policy=/usr/sbin/policy-rc.d
made=no
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    made=yes
fi
$install >/dev/null
if [ $made = yes ]; then rm -f $policy; fi
for program in "${!package[@]}"; do
    here "$program" || { echo "$program is still missing after: $install" >&2; exit 1; }
done
