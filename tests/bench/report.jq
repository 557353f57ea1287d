# SPDX-License-Identifier: Apache-2.0
#
# From the runs of the bench (input: an array of {work, server, repetition, ...}) and tests/bench/rows ($rows, as text) to one object for each row: Netbus, the
# limit and the best peer with median and spread, the ratios and whether the goals are met. Ratios are taken within a repetition, whose runs stand next to each
# other in time, and then their median.

def trim: sub("^[ \t]+"; "") | sub("[ \t]+$"; "");
def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def spread: if length == 0 then null else {median: median, min: min, max: max} end;

# "232", "9.31", ".93"
def digits(n): . as $x | (pow(10; n)) as $p | ($x * $p | round) as $i | ($i / $p | floor | tostring) as $whole |
	if n == 0 then $whole else $whole + "." + ("000000" + ($i % $p | tostring) | .[-n:]) end;
def figures: if . >= 100 then digits(0) elif . >= 10 then digits(1) else digits(2) end;
def human(unit):
	if . == null then "–"
	elif unit == "IOPS" then if . >= 1000 then (. / 1000 | figures) + " k" else digits(0) end
	elif unit == "MB/s" then if . >= 1000 then (. / 1000 | digits(2)) + " GB/s" else digits(0) + " MB/s" end
	elif unit == "us" then if . >= 1000 then (. / 1000 | figures) + " ms" else figures + " µs" end
	elif unit == "s" then figures + " s"
	elif unit == "" then digits(0)
	elif unit == "/s" then digits(0) + "/s"
	else figures + " " + unit end;
def human_spread(unit): if . == null then "–" elif .min == .max then .median | human(unit) else
	(.median | human(unit)) + " (" + (.min | human(unit)) + " – " + (.max | human(unit)) + ")" end;

def row_of: split("|") | map(trim) |
	{work: .[0], metric: .[1], factor: (.[2] | tonumber), unit: .[3], better: .[4], goal_limit: .[5], goal_peer: .[6], peer: .[7], chart: (.[8] == "chart"), title: .[9]};

# {"1": value, ...} by repetition
def values($runs; $work; $server; $row):
	[$runs[] | select(.work == $work and .server == $server and .[$row.metric] != null) | {key: (.repetition | tostring), value: (.[$row.metric] * $row.factor)}] | from_entries;
def paired($a; $b): [$a | to_entries[] | select($b[.key] != null and $b[.key] != 0) | .value / $b[.key]] | spread;
def reached($row; $goal): . as $x | if $goal == "" or $x == null then null else ($goal | ltrimstr("=") | tonumber) as $g |
	if $row.better == "more" then $x >= $g else $x <= $g end end;

def row($runs): . as $row
	| (if $row.peer | test(":") then $row.peer | split(":") else [$row.work, $row.peer] end) as [$peer_work, $peer]
	| values($runs; $row.work; "netbus"; $row) as $netbus
	| values($runs; $row.work; "limit"; $row) as $limit
	| [$runs[] | select(.work == $peer_work) | .server] | unique - ["netbus", "limit"]
	| map(. as $name | {name: $name, values: values($runs; $peer_work; $name; $row)} | select(.values != {})) as $peers
	| ([$peers[] | select($peer == "*" or .name == $peer)] | sort_by([.values[]] | median) | if $row.better == "more" then last else first end) as $best
	| paired($netbus; $limit) as $to_limit
	| (if $best then paired($netbus; $best.values) else null end) as $to_peer
	| $row + {
		netbus: ([$netbus[]] | spread), limit: ([$limit[]] | spread),
		peers: ($peers | map({name, value: ([.values[]] | spread), to_limit: paired(.values; $limit)})),
		best: (if $best then {name: $best.name, value: ([$best.values[]] | spread), to_limit: paired($best.values; $limit)} else null end),
		to_limit: $to_limit, to_peer: $to_peer}
	| .met = ([(.to_limit.median | reached($row; $row.goal_limit)),
		((if $row.goal_peer | startswith("=") then .netbus.median else .to_peer.median end) | reached($row; $row.goal_peer))]
		| map(select(. != null)) | if length == 0 then "" elif all then "yes" else "no" end);

def ratio($goal; $row): if . == null then (if $goal == "" or ($goal | startswith("=")) then "" else "–" end) else .median | digits(2) end
	| if $goal == "" or ($goal | startswith("=")) then . else . + (if $row.better == "more" then " (≥ " else " (≤ " end) + $goal + ")" end;

# What the tables show, as text.
def cells: . as $row | {
	title, met,
	netbus: (.netbus.median | human($row.unit)),
	limit: (if .limit then .limit.median | human($row.unit) else "" end),
	best: (if .best then (.best.value.median | human($row.unit)) + " " + .best.name else "" end),
	to_limit: (.to_limit | ratio($row.goal_limit; $row)),
	to_peer: (if .goal_peer | startswith("=") then (if $row.better == "more" then "≥ " else "≤ " end) + (.goal_peer[1:] | tonumber | human($row.unit)) else .to_peer | ratio($row.goal_peer; $row) end)};

. as $runs | [$rows | split("\n")[] | select(test("^[a-z]")) | row_of | row($runs) | select(.netbus != null) | .cells = cells]
