# SPDX-License-Identifier: Apache-2.0
#
# Bars from lines "title TAB Netbus' fraction of the limit TAB the best peer's TAB its name TAB Netbus' value": one SVG that needs nothing else and is readable on
# light and dark pages. Called by tests/bench/report.sh.

function text(x, y, class, anchor, string) {
	gsub(/&/, "\\&amp;", string)
	gsub(/</, "\\&lt;", string)
	printf "<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", x, y, class, anchor, string
}

# A bar and its label: behind it, or in it where it would cross the line of the limit.
function bar(y, fraction, class, label,    end, room) {
	end = left + fraction * scale
	printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", left, y, fraction * scale, thick, class
	label = sprintf("%.0f %%", fraction * 100) " · " label
	room = 7 * length(label) + 16
	if (fraction * scale < room || end + room < left + scale || fraction > 1.02)
		text(end + 8, y + thick - 3, "v", "start", label)
	else
		text(end - 8, y + thick - 3, "v i" class, "end", label)
}

{ n++; title[n] = $1; ours[n] = $2; theirs[n] = $3; peer[n] = $4; value[n] = $5; most = $2 > most ? $2 : most }

END {
	left = 325; width = 980; thick = 14; row = 44; top = 92
	most = most > 1 ? most : 1
	scale = (width - left - (most > 1.02 ? 150 : 40)) / most
	height = top + n * row + 36
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"Netbus and the best peer as a fraction of the limit of the machine\">\n", width, height, width, height
	print "<style>"
	print "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}.h{font-size:17px;font-weight:600}.s{fill:#59636e;font-size:12px}.v{font-size:12px}.in{fill:#fff}"
	print ".card{fill:#fff;stroke:#d1d9e0}.n{fill:#0969da}.p{fill:#b6bfc9}.g{stroke:#d1d9e0}.l{stroke:#cf222e;stroke-dasharray:4 3}"
	print "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.in{fill:#fff}.card{fill:#0d1117;stroke:#3d444d}.n{fill:#1f6feb}.p{fill:#59636e}.g{stroke:#3d444d}.l{stroke:#f85149}}"
	print "</style>"
	printf "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\" class=\"card\"/>\n", width - 1, height - 1
	text(24, 34, "h", "start", "Throughput over mutual TLS, as a fraction of what the machine can do")
	print "<rect x=\"24\" y=\"48\" width=\"12\" height=\"12\" rx=\"2\" class=\"n\"/><rect x=\"104\" y=\"48\" width=\"12\" height=\"12\" rx=\"2\" class=\"p\"/>"
	text(42, 59, "v", "start", "Netbus")
	text(122, 59, "v", "start", "the best peer, by name")
	text(left + scale, top - 10, "s", "middle", "limit")
	for (i = 0; i < 4; i++)
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"g\"/>\n", left + i * scale / 4, left + i * scale / 4, top - 4, top + n * row - 6
	printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"l\"/>\n", left + scale, left + scale, top - 4, top + n * row - 6
	for (i = 1; i <= n; i++) {
		y = top + (i - 1) * row
		text(left - 12, y + thick + 7, "", "end", title[i])
		bar(y + 2, ours[i], "n", value[i])
		bar(y + 4 + thick, theirs[i], "p", peer[i])
	}
	text(24, height - 14, "s", "start", caption)
	print "</svg>"
}
