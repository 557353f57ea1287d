# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# it FUNCTION: runs one property and prints "ok - FUNCTION" or "not ok - FUNCTION" and what it printed. finish: the exit code.

failures=0

it() {
	local out
	if out=$("$@" 2>&1); then
		echo "ok - $*"
	else
		echo "not ok - $*"
		echo "$out"
		failures=$((failures + 1))
	fi
}

# skip NAME WHY: a loud skip.
skip() {
	echo "skip - $1: $2"
}

finish() {
	[ "$failures" -eq 0 ]
	exit
}
