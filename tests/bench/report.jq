# SPDX-License-Identifier: Apache-2.0
#
# From the runs of the bench (input: an array of {work, server, repetition, ...}) and tests/bench/rows ($rows, as text) to one object for each row: Netbus, the
# limit and the best peer with median and spread, the ratios, and whether the goals are met. Ratios are taken within a repetition, whose runs stand next to each
# other in time; then comes their median.

def trim: sub("^[ \t]+"; "") | sub("[ \t]+$"; "");
def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def spread: if length == 0 then null else {median: median, min: min, max: max} end;

# ---- numbers for people ----

def digits($n): pow(10; $n) as $p | (. * $p | round) as $i | ($i / $p | floor | tostring) as $whole
	| if $n == 0 then $whole else $whole + "." + ("000000" + ($i % $p | tostring) | .[-$n:]) end;
def figures: if . >= 100 then digits(0) elif . >= 10 then digits(1) else digits(2) end;
def human($unit):
	if . == null then "–"
	elif $unit == "IOPS" then if . >= 1000 then (. / 1000 | figures) + " k" else digits(0) end
	elif $unit == "MB/s" then if . >= 1000 then (. / 1000 | digits(2)) + " GB/s" else digits(0) + " MB/s" end
	elif $unit == "us" then if . >= 1000 then (. / 1000 | figures) + " ms" else figures + " µs" end
	elif $unit == "" then digits(0)
	elif $unit == "/s" then digits(0) + "/s"
	else figures + " " + $unit end;
def human_spread($unit): (.median | human($unit)) + if .min == .max then "" else " (" + (.min | human($unit)) + " – " + (.max | human($unit)) + ")" end;
def name_of: {stunnel: "stunnel pair", "nbdkit-pair": "nbdkit proxy", "qemu-pair": "qemu-nbd proxy"}[.] // .;

# ---- rows ----

def row_of: split("|") | map(trim)
	| {work: .[0], metric: .[1], factor: (.[2] | tonumber), unit: .[3], better: .[4], goal_limit: .[5], goal_peer: .[6], peer: .[7], chart: (.[8] == "chart"), title: .[9]};

# {"1": value, ...}, by repetition.
def values($runs; $work; $server; $row):
	[$runs[] | select(.work == $work and .server == $server and .[$row.metric] != null)
		| {key: (.repetition | tostring), value: (.[$row.metric] * $row.factor)}] | from_entries;
def paired($a; $b): [$a | to_entries[] | select($b[.key] != null and $b[.key] != 0) | .value / $b[.key]] | spread;
def is_absolute: startswith("=");
def reached($row; $goal): . as $value | if $goal == "" or $value == null then null
	else ($goal | ltrimstr("=") | tonumber) as $bound | if $row.better == "more" then $value >= $bound else $value <= $bound end end;

def compare($runs): . as $row
	| (if $row.peer | test(":") then $row.peer | split(":") else [$row.work, $row.peer] end) as [$peer_work, $peer]
	| values($runs; $row.work; "netbus"; $row) as $netbus
	| values($runs; $row.work; "limit"; $row) as $limit
	| [[$runs[] | select(.work == $peer_work) | .server] | unique - ["netbus", "limit"] | .[]
		| {name: ., values: values($runs; $peer_work; .; $row)} | select(.values != {})] as $peers
	| ([$peers[] | select($peer == "*" or .name == $peer)] | sort_by([.values[]] | median) | if $row.better == "more" then last else first end) as $best
	| $row + {netbus: ([$netbus[]] | spread), limit: ([$limit[]] | spread), peers: [$peers[] | {name, value: ([.values[]] | spread)}],
		to_limit: paired($netbus; $limit),
		best: (if $best then {name: $best.name, value: ([$best.values[]] | spread), to_limit: paired($best.values; $limit)} else null end),
		to_best: (if $best then paired($netbus; $best.values) else null end)};

# "" without a goal. What went through the page cache is not held against what did not.
def judge($runs): . as $row
	| [(.to_limit.median | reached($row; $row.goal_limit)),
		(if .goal_peer | is_absolute then .netbus.median else .to_best.median end | reached($row; $row.goal_peer))]
	| map(select(. != null))
	| if length == 0 then "" elif any($runs[]; .work == $row.work and .direct == false) then "no: page cache" elif all then "yes" else "no" end;

# ---- the tables, as text ----

def sign($row): if $row.better == "more" then "≥ " else "≤ " end;
def ratio($row; $goal):
	(if . == null then "–" else .median | digits(2) end) as $text
	| if $goal != "" then $text + " (" + sign($row) + $goal + ")" elif . == null then "" else $text end;

def cells: . as $row | {
	title, met,
	netbus: (.netbus.median | human($row.unit)),
	limit: (if .limit then .limit.median | human($row.unit) else "" end),
	best: (if .best then (.best.value.median | human($row.unit)) + " " + (.best.name | name_of) else "" end),
	best_name: (if .best then .best.name | name_of else "" end),
	to_limit: (.to_limit | ratio($row; $row.goal_limit)),
	to_best: (if .goal_peer | is_absolute then "(" + sign($row) + (.goal_peer[1:] | tonumber | human($row.unit)) + ")" else .to_best | ratio($row; $row.goal_peer) end),
	all: ([{name: "Netbus", value: .netbus}, {name: "limit", value: .limit}] + .peers
		| map(select(.value) | (.name | name_of) + " " + (.value | human_spread($row.unit))) | join(" · "))};

. as $runs
	| [$rows | split("\n")[] | select(test("^[a-z].*[|]")) | row_of | compare($runs) | select(.netbus != null)
		| .met = judge($runs) | .cells = cells]
