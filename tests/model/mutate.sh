# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Mutants: faults that a test must find, rows of a file, one edit of one line each:
#     name | file | old line | new line
# The old line stands in the file once, but for the white space before it; `n:` before it picks the n-th of several.
#
#   mutate FILE OLD NEW      prints the file with the line replaced
#   each_mutant ROWS         calls `it is_caught NAME` for each row of the file ROWS, with $file, $old and $new set; counts them in $count

mutate() {
	local file=$1 old=$2 new=$3 pick=0
	case $old in [0-9]:*) pick=${old%%:*} old=${old#*:} ;; esac
	OLD=$old NEW=$new awk -v pick="$pick" '
		{ text = $0; sub(/^[ \t]+/, "", text) }
		text == ENVIRON["OLD"] && (++seen == pick || pick == 0) { print ENVIRON["NEW"]; made++; next }
		{ print }
		END { exit made == 1 ? 0 : 1 }' "$file"
}

each_mutant() {
	local row
	count=0
	while IFS= read -r row; do
		case $row in '' | '#'*) continue ;; esac
		name=${row%% | *} row=${row#* | }
		file=${row%% | *} row=${row#* | }
		old=${row%% | *} new=${row#* | }
		it is_caught "$name"
		after_mutant "$name"
		count=$((count + 1))
	done <"$1"
}
