# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Golden tests of netbus-admin: what it prints, both streams, and its exit code, held against files in tests/golden/.
#
#   run WORDS...     runs netbus-admin in an empty scratch directory $W and prints the command, what it said and its exit code
#   same NAME        standard input is the same as tests/golden/NAME; NETBUS_GOLDEN=write makes it so (then read the difference!)

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../arch/lib.sh"
: "${NETBUS_BIN:?set it to the directory of the built programs, or use make check}"
[ -x "$NETBUS_BIN/netbus-admin" ] || { echo "not ok - there is no $NETBUS_BIN/netbus-admin"; exit 1; }
export LC_ALL=C NO_COLOR=1
unset COLUMNS
W=$(mktemp -d "${TMPDIR:-/tmp}/netbus-golden.XXXXXX")
trap 'rm -rf "$W"' EXIT
cd "$W" || exit 2

run() {
	local code=0
	printf '$ netbus-admin'
	[ $# -eq 0 ] || printf ' %q' "$@"
	printf '\n'
	"$NETBUS_BIN/netbus-admin" "$@" 2>&1 </dev/null || code=$?
	printf '[exit code %d]\n\n' "$code"
}

same() {
	cat >"$W/have"
	! grep -E 'Sanitizer|runtime error:' "$W/have" || return 1
	[ "${NETBUS_GOLDEN:-}" != write ] || cp "$W/have" "$HERE/$1"
	diff -u "$HERE/$1" "$W/have"
}
