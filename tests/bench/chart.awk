if (fraction * scale < room || end + room < left + scale || fraction > 1.02)# SPDX-License-Identifier: Apache-2.0
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)#
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)# Bars from lines "title TAB Netbus' fraction of the limit TAB the best peer's TAB its name TAB Netbus' value": one SVG that needs nothing else and is readable on
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)# light and dark pages. Called by tests/bench/report.sh.
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)function text(x, y, class, anchor, string) {
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	gsub(/&/, "\\&amp;", string)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	gsub(/</, "\\&lt;", string)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	printf "<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", x, y, class, anchor, string
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)}
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)# A bar and its label: behind it, or in it where it would cross the line of the limit.
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)function bar(y, fraction, class, label,    end) {
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	end = left + fraction * scale
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", left, y, fraction * scale, thick, class
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	label = sprintf("%.0f %%", fraction * 100) " · " label
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	if (end + room < left + scale || fraction > 1.01)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		text(end + 8, y + thick - 3, "v", "start", label)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	else
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		text(end - 8, y + thick - 3, "v i" class, "end", label)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)}
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02){ n++; title[n] = $1; ours[n] = $2; theirs[n] = $3; peer[n] = $4; value[n] = $5; most = $2 > most ? $2 : most }
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)END {
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	left = 325; width = 980; thick = 14; row = 44; top = 92; room = 170
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	most = most > 1 ? most : 1
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	scale = (width - left - (most > 1.02 ? 150 : 40)) / most
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	height = top + n * row + 36
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"Netbus and the best peer as a fraction of the limit of the machine\">\n", width, height, width, height
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print "<style>"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}.h{font-size:17px;font-weight:600}.s{fill:#59636e;font-size:12px}.v{font-size:12px}.in{fill:#fff}"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print ".card{fill:#fff;stroke:#d1d9e0}.n{fill:#0969da}.p{fill:#b6bfc9}.g{stroke:#d1d9e0}.l{stroke:#cf222e;stroke-dasharray:4 3}"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.in{fill:#fff}.card{fill:#0d1117;stroke:#3d444d}.n{fill:#1f6feb}.p{fill:#59636e}.g{stroke:#3d444d}.l{stroke:#f85149}}"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print "</style>"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	printf "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\" class=\"card\"/>\n", width - 1, height - 1
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	text(24, 34, "h", "start", "Throughput over mutual TLS, as a fraction of what the machine can do")
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print "<rect x=\"24\" y=\"48\" width=\"12\" height=\"12\" rx=\"2\" class=\"n\"/><rect x=\"104\" y=\"48\" width=\"12\" height=\"12\" rx=\"2\" class=\"p\"/>"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	text(42, 59, "v", "start", "Netbus")
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	text(122, 59, "v", "start", "the best peer, by name")
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	text(left + scale, top - 10, "s", "middle", "limit")
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	for (i = 0; i < 4; i++)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"g\"/>\n", left + i * scale / 4, left + i * scale / 4, top - 4, top + n * row - 6
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"l\"/>\n", left + scale, left + scale, top - 4, top + n * row - 6
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	for (i = 1; i <= n; i++) {
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		y = top + (i - 1) * row
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		text(left - 12, y + thick + 7, "", "end", title[i])
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		bar(y + 2, ours[i], "n", value[i])
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)		bar(y + 4 + thick, theirs[i], "p", peer[i])
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	}
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	text(24, height - 14, "s", "start", caption)
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)	print "</svg>"
if (fraction * scale < room || end + room < left + scale || fraction > 1.02)}
