# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What is measured, and how. Sourced by tests/bench/run. A work is measured on every server of its kind; a run of it gives one JSON object.

# id, kind, what the generator (or fio) is told. Those with a + are of the quick bench, too.
WORKS='
+ read-4k       wire    op=read
+ write-4k      wire    op=write
+ read-4k-x4    wire    op=read lanes=4
  write-4k-x4   wire    op=write lanes=4
  mix-4k-x4     wire    op=mix lanes=4
  read-64k      wire    op=read bytes=65536 depth=8
  write-64k     wire    op=write bytes=65536 depth=8
+ read-1m       wire    op=read bytes=1048576 depth=8
  write-1m      wire    op=write bytes=1048576 depth=8
+ read-qd1      wire    op=read depth=1
  read-qd1-spin wire    op=read depth=1 spin=1
  opens         opens   opens=200 parallel=8
  idle          idle    100
  house-4k      house   op=read
  house-4k-x4   house   op=read lanes=4
  house-1m      house   op=read bytes=1048576 depth=8
  client-4k     client  --bs=4k --iodepth=32
  client-1m     client  --bs=1m --iodepth=8
  disk-4k       disk    op=read
  many          many    1000
'

# The servers of a kind, in the order in which they are measured.
servers_of() {
	case $MODE-$1 in
	quick-wire) echo netbus limit nbdkit nbd-server ;;
	*-idle) [ "$(id -u)" -ne 0 ] || echo netbus limit nbdkit nbd-server qemu-nbd ;; # the memory of Netbus' processes is only for root to see
	*-wire | *-opens) echo netbus limit nbdkit nbd-server qemu-nbd ;;
	*-many) echo netbus ;;
	*-house) echo netbus-pair limit-pair stunnel nbdkit-pair qemu-pair ;;
	*-client) echo netbus-pair nbdkit nbd-server qemu-nbd ;;
	*-disk) echo netbus limit qemu-nbd ;;
	esac
}

# generator SERVER OPTIONS...: one run on the client's CPU.
generator() {
	local server=$1 address=("connect=${AT[$1]:-}" "server=${PID[$1]:-0}") pki=$W/tls/client
	shift
	case $server in
	netbus*)
		pki=$(root_of m1)/etc/netbus/pki/host
		address=(speak=netbus "connect=127.0.0.1:${HOST_PORT[m2]}" "server=${HOST_PID[m2]}" "certificate=$pki.pem" "key=$pki.key" vm=acme/vm share=acme/ram)
		;;
	limit) address+=(speak=nbd-tls) ;;
	nbd-server) address+=(speak=nbd-starttls share=disk) ;;
	*) address+=(speak=nbd-starttls) ;;
	esac
	[ "$pki" != "$W/tls/client" ] || address+=("certificate=$pki-cert.pem" "key=$pki-key.pem" "ca=$W/tls/ca-cert.pem")
	exec taskset -c "$CLIENT_CPU" timeout 120 "$NETBUS_BUILD/bench/generator" "${address[@]}" "seconds=$RUN_SECONDS" stay=1 "$@"
}

# qemu-nbd as shipped waits for delayed acknowledgements, some 40 ms, in each request that stands alone: at depth 1 a pass over the device would take a minute.
measure_wire() {
	local server=$1
	shift
	case "$server $*" in "qemu-nbd "*depth=1\ * | "qemu-nbd "*depth=1) set -- "$@" cold=1 ;; esac
	(generator "$server" "$@") </dev/null
}

measure_opens() {
	local server=$1
	shift
	[ "$server" != netbus ] || set -- "$@" vm=acme/vm-%u share=acme/open
	(generator "$server" "$@") </dev/null
}

# fill KIND SERVER: writes once over a disk of nbdkit: what was never written is no memory, and cheaper to read.
fill() {
	"measure_$1" "$2" op=write seconds=0.1 >/dev/null || die "nbdkit's disk cannot be written: $1, $2"
}

# tree PID: it and all that it started.
tree() {
	local child
	echo "$1"
	for child in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
		tree "$child"
	done
}

# pss PID...: KiB of memory, what is shared counted by its part.
pss() {
	local pid
	for pid in "$@"; do
		sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '{ sum += $1 } END { print sum + 0 }'
}

# hold SERVER OPTIONS...: a generator whose lanes are up and wait. release: it does its run, SAID is what came of it. drop: it does not, and ends. All in one shell.
hold() {
	local line
	coproc HELD { generator "$@" hold=1; }
	HELD_BY=$HELD_PID
	read -r line <&"${HELD[0]}" && [ "$line" = holding ]
}
release() {
	echo >&"${HELD[1]}"
	read -r SAID <&"${HELD[0]}" || return 1
	echo >&"${HELD[1]}"
	wait "$HELD_BY"
}
drop() {
	kill -TERM "$HELD_BY"
	wait "$HELD_BY" 2>/dev/null
	return 0
}

# What each of so many idle connections adds to the server; of Netbus also what its session process has.
measure_idle() {
	local server=$1 lanes=$2 root=${PID[$1]:-${HOST_PID[m2]}} pids count before after own options=() until=$((SECONDS + 20))
	[ "$server" != netbus ] || options=(each=1 vm=acme/vm-%u share=acme/open)
	mapfile -t pids < <(tree "$root")
	count=${#pids[@]} before=$(pss "${pids[@]}")
	if hold "$server" "lanes=$lanes" depth=1 "${options[@]}"; then
		mapfile -t pids < <(tree "$root")
		after=$(pss "${pids[@]}") own=$((after - before))
		if [ "$server" = netbus ]; then
			mapfile -t pids < <(pgrep -P "$root" -x netbus-session)
			own=$(pss "${pids[@]}")
		fi
		jq -nc "{kib: (($after - $before) / $lanes), lane_kib: ($own / $lanes)}"
	fi
	drop
	until [ "$(tree "$root" | wc -l)" -le "$count" ] || [ "$SECONDS" -ge "$until" ]; do :; done
}

# So many leases at a time, all of which move data; afterwards the daemon is there, and has none any more.
measure_many() {
	local said until=$((SECONDS + 120))
	said=$(generator netbus "lanes=$2" depth=1 each=1 vm=acme/vm-%u share=acme/open </dev/null) || return 1
	until admin m2 lease list --json | jq -se '.[0] | type == "array" and all(.share != "acme/open")' >/dev/null; do
		admin m2 status >/dev/null && [ "$SECONDS" -lt "$until" ] || return 1
	done
	jq -c ". + {lanes: $2}" <<<"$said"
}

measure_house() {
	local server=$1
	shift
	taskset -c "$CLIENT_CPU" timeout 120 "$NETBUS_BUILD/bench/generator" speak=nbd "connect=${AT[$server]}" "seconds=$RUN_SECONDS" stay=1 "$@" </dev/null
}

# fio_json OPTIONS...: what fio measured, as the generator tells it.
fio_json() {
	timeout 120 taskset -c "$CLIENT_CPU" "${AS[@]}" fio --name=bench --rw=randread --time_based --ramp_time=300ms "--runtime=${RUN_MS}ms" \
		--output-format=json "$@" 2>>"$W/fio.out" </dev/null | sed -n '/^{/,$p' |
		jq -ce '.jobs[0].read | select(.total_ios > 0) | {iops, mb_s: (.bw_bytes / 1e6), p50_us: (.clat_ns.percentile["50.000000"] // 0 | . / 1000)}'
}

# The stock client, on Netbus' socket and over TLS straight to a peer. fio cannot say where libnbd's certificates are, but they have a place in a user's home.
measure_client() {
	local server=$1 uri="nbd+unix:///?socket=${AT[$1]}" AS=()
	shift
	if [ "$server" != netbus-pair ]; then
		uri=nbds://${AT[$server]}/
		[ "$server" != nbd-server ] || uri+=disk
		AS=(env "HOME=$RAM/home")
		[ "$(id -u)" -ne 0 ] || AS=(setpriv --reuid=65534 --regid=65534 --clear-groups "${AS[@]}")
	fi
	fio_json --ioengine=nbd "--uri=$uri" --size=$DISK_BYTES "$@"
}

make_home() {
	mkdir -p "$RAM/home/.pki/libnbd"
	cp "$W"/tls/{ca-cert,client-cert,client-key}.pem "$RAM/home/.pki/libnbd"
	chmod 0711 "$RAM"
	[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$RAM/home"
}

# Whether Netbus' session has the file open past the page cache (O_DIRECT): true, false, or null when we may not know.
has_direct() {
	local session fd flags=
	session=$(pgrep -P "${HOST_PID[m2]}" -n -x netbus-session)
	for fd in "/proc/$session/fd"/*; do
		[ "$(readlink "$fd")" != "$DISK" ] || flags=$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$session/fdinfo/${fd##*/}")
	done
	[ -n "$flags" ] || { echo null; return; }
	[ $((8#$flags & 8#40000)) -ne 0 ] && echo true || echo false
}

# The file as each has it: an export of Netbus, one of qemu-nbd past the page cache, and fio on the file itself (the limit).
measure_disk() {
	local server=$1 direct AS=()
	shift
	case $server in
	netbus) hold netbus share=acme/disk "$@" && direct=$(has_direct) && release && jq -c ". + {direct: $direct}" <<<"$SAID" ;;
	qemu-nbd) (generator qemu-disk "$@") </dev/null ;;
	limit) fio_json --ioengine=libaio --direct=1 "--filename=$DISK" --bs=4k --iodepth=32 ;;
	esac
}
