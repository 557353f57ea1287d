# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# it FUNCTION: runs one property and prints "ok - FUNCTION" or "not ok - FUNCTION" and what it printed. finish: the exit code.

# The function runs in this shell, so that what it sets is there for those after it.

failures=0
it_out=$(mktemp)

it() {
	if "$@" >"$it_out" 2>&1; then
		echo "ok - $*"
	else
		echo "not ok - $*"
		cat "$it_out"
		failures=$((failures + 1))
	fi
}

# skip NAME WHY: a loud skip.
skip() {
	echo "skip - $1: $2"
}

finish() {
	rm -f "$it_out"
	[ "$failures" -eq 0 ]
	exit
}
