# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What came of the bench, for people. Sourced by tests/bench/run, which has $RUNS (JSON, one run a line) and $RESULTS (where the whole of it is kept).

version_of() {
	dpkg-query -W -f='${Version}' "$1" 2>/dev/null || echo missing
}

machine() {
	jq -n --arg date "$(date -u +%Y-%m-%d)" --arg cpu "$(lscpu | sed -n 's/^Model name: *//p')" --arg cores "$(nproc)" \
		--arg memory "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" --arg kernel "$(uname -sr)" \
		--arg system "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)" --arg disk "${DISK_SYSTEM:-}" --arg aio "${QEMU_AIO:-}" \
		--arg state "$(file_system "$W")" --arg cpus "$SERVER_CPU $CLIENT_CPU" --arg openssl "$(openssl version | cut -d' ' -f1,2)" \
		--arg netbus "$("$NETBUS_BIN/netbusd" --version | head -n 1)" --arg nbdkit "$(version_of nbdkit)" --arg nbd "$(version_of nbd-server)" \
		--arg qemu "$(version_of qemu-utils)" --arg stunnel "$(version_of stunnel4)" --arg fio "$(version_of fio)" --arg libnbd "$(version_of libnbd0)" \
		--argjson seconds "$RUN_SECONDS" --argjson repetitions "$REPEAT" '$ARGS.named'
}

# Keeps everything: the machine, each run, each row.
keep_results() {
	jq -s . "$RUNS" >"$W/runs.json"
	jq --rawfile rows tests/bench/rows -f tests/bench/report.jq "$W/runs.json" >"$W/rows.json" || die "the report cannot be made"
	jq -n --argjson machine "$(machine)" --slurpfile runs "$W/runs.json" --slurpfile rows "$W/rows.json" \
		'{machine: $machine, rows: $rows[0], runs: $runs[0]}' >"$RESULTS"
}

about() {
	jq -r '.machine | "\(.date) · \(.cpu), \(.cores) cores, \(.memory) · \(.kernel), \(.system)",
		"\(.netbus) · \(.openssl) · nbdkit \(.nbdkit) · nbd-server \(.nbd) · qemu-nbd \(.qemu) · stunnel \(.stunnel) · fio \(.fio) · libnbd \(.libnbd)",
		"medians of \(.repetitions) interleaved runs of \(.seconds) s; servers on one core, the client on another"' "$RESULTS"
}

HEAD='["work", "Netbus", "limit", "best peer", "to limit (goal)", "to best peer (goal)", "met?"]'

# column(1) takes an empty field for none.
print_table() {
	about
	echo
	jq -r "[$HEAD] + [.rows[].cells | [.title, .netbus, .limit, .best, .to_limit, .to_best, .met]] | .[] | map(if . == \"\" then \"·\" else . end) | @tsv" "$RESULTS" |
		column -t -s $'\t'
}

write_notes() {
	cat <<-M

		## How to read it

		* Servers run on CPU $SERVER_CPU, the client on CPU $CLIENT_CPU. With two daemons between, the attach side shares the client's CPU.
		* Server CPU is that of all processes and threads of the server, between the begin and the end of what is counted.
		* qemu-nbd leaves Nagle's algorithm on: at QD1, and in each handshake, it waits for delayed acknowledgements. It is measured as shipped.
		* Attach: Netbus' includes the decision, and a record in the audit trail that is on disk ($(file_system "$W")) before the device is opened. A peer's is its handshake.
		* nbdkit serves its memory plugin, which is quicker here at everything than a file on a tmpfs.
		* Two daemons between: the stunnel pair has nbdkit behind it; the proxies (nbdkit's nbd plugin, qemu-nbd) speak TLS to nbdkit.
		* fio straight to a peer goes over TLS with libnbd, which limits it.
		* File on a disk: the limit is fio with libaio and O_DIRECT on the file itself ($DISK_SYSTEM); qemu-nbd runs with --cache=none --aio=$QEMU_AIO.
	M
	jq -r 'if any(.runs[]; .direct == false) then "* Netbus had its file open without O_DIRECT: after the first pass, what it read came from the page cache, so that row is no comparison." else empty end' "$RESULTS"
}

write_markdown() {
	cat <<-'M'
		# What `make bench` measured

		Netbus, its peers and the limit of the machine, side by side on one machine: interleaved, over mutual TLS 1.3 (ECDSA P-256, AES-256-GCM) on loopback, data in RAM.
		Absolute figures move with the machine and the hour; a ratio is taken between runs that stand next to each other in time.
		*The limit* is a bare server written for this (`tests/bench/limit_server.c`, and `limit_proxy.c` for the way through two daemons): it shows what OpenSSL and the
		kernel can do here, checks nothing, and nobody should run it. The peers are Debian's, set up as their manuals say.

		![Netbus and the best peer as a fraction of the limit](results.svg)

	M
	about | sed 's/$/  /'
	printf '\n## Against the goals\n\n'
	jq -r "$HEAD, ($HEAD | map(\"---\")), (.rows[].cells | [.title, .netbus, .limit, .best, .to_limit, .to_best, if .met | test(\"^no\") then \"**\(.met)**\" else .met end])
		| \"| \" + join(\" | \") + \" |\"" "$RESULTS"
	printf '\n## Every server: median (least – most)\n\n'
	jq -r '.rows[] | "* **" + .title + "**: " + .cells.all' "$RESULTS"
	write_notes
}

# The main works, as bars.
write_chart() {
	jq -r '.rows[] | select(.chart and .to_limit) | [.title, .to_limit.median, (.best.to_limit.median // 0), .cells.best_name, .cells.netbus] | @tsv' "$RESULTS" |
		awk -F '\t' -f tests/bench/chart.awk -v "caption=$(about | head -n 1)"
}
