# SPDX-License-Identifier: Apache-2.0
#
# Raw lines of tests/xen/bench to Markdown. The first two lines are prose about the machine.

function median(list, count, i, j, held, value) {
	count = split(list, value, " ")
	for (i = 2; i <= count; i++)
		for (j = i; j > 1 && value[j - 1] + 0 > value[j] + 0; j--) {
			held = value[j]
			value[j] = value[j - 1]
			value[j - 1] = held
		}
	return count % 2 ? value[(count + 1) / 2] + 0 : (value[count / 2] + value[count / 2 + 1]) / 2
}

function shown(work, server) {
	if (work ~ /-4k-/)
		return sprintf("%d/s", median(rate[work, server]))
	return sprintf("%.1f MB/s", median(bytes[work, server]))
}

function ratio(work, other) {
	return sprintf("%.2f", median(rate[work, "netbus"]) / median(rate[work, other]))
}

# What one request costs beyond what happens anyway in that time.
function per_request(work, server, group, idle) {
	idle = hyper[work "-idle", server, group] / time[work "-idle", server] * time[work, server]
	return sprintf("%.2f", (hyper[work, server, group] - idle) / requests[work, server])
}

function system_calls(work, server, i, text, name, each, sum) {
	sum = 0
	text = ""
	for (i = 1; i <= names; i++) {
		name = call_name[i]
		each = (calls[work, server, name] - calls[work "-idle", server, name] / time[work "-idle", server] * time[work, server]) / requests[work, server]
		sum += each
		if (each >= 0.05)
			text = text (text == "" ? "" : ", ") sprintf("%s %.2f", name, each)
	}
	if (server == "blkback")
		return "none: it is in the kernel | "
	return sprintf("%.2f | %s", sum, text)
}

function group_of(number) {
	if (number == 20)
		return "grants"
	if (number == 32)
		return "events"
	return number == 1 || number == 13 || number == 14 || number == 26 ? "memory" : "rest"
}

NR <= 2 { prose[NR] = $0; next }
$1 == "speed" {
	if (!(($2, "netbus") in rate) && $3 == "netbus")
		work[++works] = $2
	rate[$2, $3] = rate[$2, $3] " " $4
	bytes[$2, $3] = bytes[$2, $3] " " $5
}
$1 == "requests" { requests[$2, $3] = $4; time[$2, $3] = $5 }
$1 == "hyper" { hyper[$2, $3, group_of($4)] += $5 }
$1 == "call" {
	if (!($4 in seen)) {
		seen[$4] = 1
		call_name[++names] = $4
	}
	calls[$2, $3, $4] += $5
}
$1 == "grants" { sub(/^grants /, ""); grants[++sizes] = $0 }

END {
	print "# What `make bench-xen` measured\n"
	print "One PV guest with three disks: through Netbus from another host over mutual TLS 1.3 (attached with `--as xen:`), through xen-blkback from a file on a loop device,"
	print "and through QEMU's qdisk from a file. Files of 48 MiB that the page caches hold. Everything runs in software emulation, where a network packet, a cipher and a hypercall cost other"
	print "shares than on a processor: *only the ratios of runs that stand next to each other mean something*, and of those the counts below more than the speeds. Netbus'"
	print "figure includes the other machine and the wire; both others serve a local file.\n"
	print prose[1] "  "
	print prose[2] "\n"
	print "## Throughput\n"
	print "| work (block, depth) | Netbus | xen-blkback | qdisk | Netbus to blkback | Netbus to qdisk |"
	print "| --- | --- | --- | --- | --- | --- |"
	for (i = 1; i <= works; i++)
		printf "| %s | %s | %s | %s | %s | %s |\n", work[i], shown(work[i], "netbus"), shown(work[i], "blkback"), shown(work[i], "qdisk"), ratio(work[i], "blkback"), ratio(work[i], "qdisk")
	print "\n## What a request costs in dom0\n"
	print "Hypercalls of domain 0 as Xen traced them (`xentrace`, TRC_PV_HYPERCALL_V2), whoever in dom0 made them, kernel included: grant table (copies, or maps and unmaps;"
	print "one call may carry many), event channels (notifications and unmasking), memory (page tables, multicalls, as mapping needs), and the rest (interrupts, timers, scheduling;"
	print "for Netbus also its network card's). System calls of the process that serves, counted by the kernel's tracepoint. From both, what the same time costs without requests is taken off.\n"
	print "| work | server | requests | grants | events | memory | rest | system calls | which |"
	print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
	split("netbus blkback qdisk", server, " ")
	for (i = 1; i <= works; i++)
		for (j = 1; j <= 3; j++)
			if ((work[i], server[j]) in requests)
				printf "| %s | %s | %d | %s | %s | %s | %s | %s |\n", work[i], server[j], requests[work[i], server[j]], per_request(work[i], server[j], "grants"),
				    per_request(work[i], server[j], "events"), per_request(work[i], server[j], "memory"), per_request(work[i], server[j], "rest"), system_calls(work[i], server[j])
	print "\n## Copy or map: `feature-persistent`\n"
	print "The quickest of many batches in dom0 for pages of 4 KiB that a guest granted. With persistent grants the backend copies out of pages that stay mapped, and the frontend copies once more,"
	print "between its own pages and those; so the second figure counts twice for the host.\n"
	for (i = 1; i <= sizes; i++) {
		split(grants[i], field, " ")
		printf "* %s; a copy to two standing ones: %.2f\n", grants[i], field[4] / (2 * field[8])
		if (i == 1)
			saved = (field[4] - 2 * field[8]) * median(rate["read-4k-1", "netbus"]) / 1e4
	}
	printf "\nWhat the copy costs more is the price of a system call and a hypercall, which emulation makes dear: with one 4 KiB request at a time persistent grants would save %.1f %% of\n", saved
	print "a request's time here. With many, one call carries several requests (the grants above are fewer than the requests), and with large ones the copying itself decides. So Netbus copies and"
	print "does not offer `feature-persistent`: guests' pages would stay mapped for as long as the disk is attached, where a guest can change them under whoever reads them. To map for each"
	print "request is out of the question."
}
