# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The servers of the bench: each on one core, with a disk of the same size in RAM, mutual TLS 1.3 with AES-256-GCM and ECDSA P-256, configured as its manual says
# and otherwise as shipped. Sourced by tests/bench/run, which has W (scratch), RAM (scratch on a tmpfs), SERVER_CPU, CLIENT_CPU.
#
#   certificates                     the peers' PKI in $W/tls
#   start_limit, start_peers, start_netbus   what the works on the wire need
#   start_house                      what the works through two daemons need, too
#   start_disk                       those that serve the real file
#   end_servers                      by pid
#
# AT[NAME]: where a server listens, HOST:PORT or a path. PID[NAME]: its process.

declare -A PID=() AT=()
DISK_BYTES=$((64 << 20))

say() {
	echo "bench: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# on_cpu CPU COMMAND...: in this shell, so that functions may set variables; what they start stays on that CPU.
on_cpu() {
	local before code=0
	before=$(taskset -cp $$ | sed 's/.*: //')
	taskset -cp "$1" $$ >/dev/null
	shift
	"$@" || code=$?
	taskset -cp "$before" $$ >/dev/null
	return $code
}

# A port below those that the kernel gives to clients, on which nobody listens.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		[ -n "$(ss -ltnH "sport = :$port")" ] || break
	done
	echo "$port"
}

listens() {
	case $1 in
	/*) ss -lxH | awk -v path="$1" '$5 == path { found = 1 } END { exit !found }' ;;
	*) [ -n "$(ss -ltnH "sport = :${1##*:}")" ] ;;
	esac
}

# wait_listening NAME: until it accepts connections at AT[NAME].
wait_listening() {
	local until=$((SECONDS + 20))
	until listens "${AT[$1]}"; do
		kill -0 "${PID[$1]}" 2>/dev/null || die "$1 ended: $(tail -n 3 "$W/$1.out")"
		[ "$SECONDS" -lt "$until" ] || die "$1 does not listen at ${AT[$1]}"
	done
}

# start NAME CPU WHERE COMMAND...: WHERE it will listen.
start() {
	local name=$1 cpu=$2
	AT[$name]=$3
	shift 3
	taskset -c "$cpu" "$@" >"$W/$name.out" 2>&1 </dev/null &
	PID[$name]=$!
	wait_listening "$name"
}

end_servers() {
	local name
	for name in "${!PID[@]}"; do
		kill -TERM "${PID[$name]}" 2>/dev/null
	done
	for name in "${!PID[@]}"; do # nbd-server is not our child
		wait "${PID[$name]}" 2>/dev/null || tail --pid="${PID[$name]}" -s 0.05 -f /dev/null
	done
	PID=()
}

certificates() {
	local who
	mkdir -p "$W/tls"
	(
		cd "$W/tls" || exit 1
		new=(-newkey ec -pkeyopt "ec_paramgen_curve:P-256" -nodes)
		openssl req -x509 "${new[@]}" -keyout ca-key.pem -out ca-cert.pem -days 30 -subj /CN=bench-ca
		for who in server client; do
			openssl req "${new[@]}" -keyout $who-key.pem -out $who.csr -subj /CN=localhost
			openssl x509 -req -in $who.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out $who-cert.pem -extfile <(
				printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 keyUsage=digitalSignature extendedKeyUsage=serverAuth,clientAuth
			)
		done
	) >"$W/openssl.out" 2>&1 || die "openssl made no certificates: $(tail -n 3 "$W/openssl.out")"
}

# ---- on the wire ----

start_limit() {
	taskset -c "$SERVER_CPU" "$NETBUS_BUILD/bench/limit_server" "$W"/tls/{server-cert,server-key,ca-cert}.pem "$DISK_BYTES" >"$W/limit.out" 2>&1 </dev/null &
	PID[limit]=$!
	wait_line "$W/limit.out" "${PID[limit]}" '^listening' 1 || die "the limit server does not start"
	AT[limit]=127.0.0.1:$(sed -n 's/^listening //p' "$W/limit.out")
}

# ram_disk NAME: a path of DISK_BYTES in RAM, every page of it there.
ram_disk() {
	head -c "$DISK_BYTES" /dev/zero >"$RAM/$1.img"
	echo "$RAM/$1.img"
}

# The memory plugin is quicker at everything than the file plugin with a file on a tmpfs.
start_nbdkit() {
	local port
	port=$(free_port)
	start nbdkit "$SERVER_CPU" "127.0.0.1:$port" nbdkit -f -i 127.0.0.1 -p "$port" \
		--tls=require --tls-certificates="$W/tls" --tls-verify-peer memory "$DISK_BYTES"
}

# nbd-server goes to the background by itself: in the foreground it would serve one connection only.
start_nbd_server() {
	local port
	port=$(free_port)
	AT[nbd-server]=127.0.0.1:$port
	cat >"$W/nbd-server.conf" <<-C
		[generic]
		  listenaddr = 127.0.0.1
		  port = $port
		  cacertfile = $W/tls/ca-cert.pem
		  certfile = $W/tls/server-cert.pem
		  keyfile = $W/tls/server-key.pem
		  tlsprio = NORMAL:-VERS-ALL:+VERS-TLS1.3
		  force_tls = true
		[disk]
		  exportname = $(ram_disk nbd-server)
	C
	taskset -c "$SERVER_CPU" nbd-server -C "$W/nbd-server.conf" -p "$W/nbd-server.pid" >"$W/nbd-server.out" 2>&1 </dev/null ||
		die "nbd-server does not start: $(tail -n 3 "$W/nbd-server.out")"
	until [ -s "$W/nbd-server.pid" ]; do listens "${AT[nbd-server]}"; done
	PID[nbd-server]=$(cat "$W/nbd-server.pid")
	wait_listening nbd-server
}

# qemu_nbd NAME IMAGE OPTIONS...
qemu_nbd() {
	local name=$1 image=$2 port
	shift 2
	port=$(free_port)
	start "$name" "$SERVER_CPU" "127.0.0.1:$port" qemu-nbd -t -e 0 -f raw -b 127.0.0.1 -p "$port" --tls-creds tls0 \
		--object "tls-creds-x509,id=tls0,endpoint=server,dir=$W/tls,verify-peer=yes" "$@" "$image"
}

start_peers() {
	start_nbdkit
	start_nbd_server
	[ "$MODE" = quick ] || qemu_nbd qemu-nbd "$(ram_disk qemu-nbd)"
}

# m2 exports; m1 has its certificate, and runs only for the works through the house.
start_netbus() {
	local disk=
	[ -z "$DISK" ] || disk="acme/disk: {path: $DISK, direct: true}"
	host_make m1 </dev/null
	host_make m2 <<-YAML
		shares:
		  acme/ram: {memory: 64MiB}
		  acme/house: {memory: 64MiB}
		  acme/open: {memory: 1MiB, sharing: shared-write}
		  $disk
	YAML
	host_policy m2 10-bench.yaml <<-'YAML'
		version: 1
		tenant: acme
		rules:
		  - id: bench
		    allow: [attach, discard, list]
		    hosts: [m1]
		    mode: rw
		    grant: standing
	YAML
	on_cpu "$SERVER_CPU" host_up m2 || die "Netbus' export host does not start"
}

# ---- through the house ----

start_stunnel() {
	local port side
	port=$(free_port)
	start plain "$SERVER_CPU" "$W/plain.sock" nbdkit -f -U "$W/plain.sock" memory "$DISK_BYTES"
	for side in server client; do
		cat >"$W/stunnel-$side.conf" <<-C
			foreground = yes
			pid =
			debug = err
			socket = a:TCP_NODELAY=1
			socket = l:TCP_NODELAY=1
			socket = r:TCP_NODELAY=1
			[bench]
			cert = $W/tls/$side-cert.pem
			key = $W/tls/$side-key.pem
			CAfile = $W/tls/ca-cert.pem
			verifyChain = yes
			sslVersionMin = TLSv1.3
			ciphersuites = TLS_AES_256_GCM_SHA384
		C
	done
	printf 'accept = 127.0.0.1:%s\nconnect = %s\n' "$port" "$W/plain.sock" >>"$W/stunnel-server.conf"
	printf 'client = yes\naccept = %s\nconnect = 127.0.0.1:%s\n' "$W/stunnel.sock" "$port" >>"$W/stunnel-client.conf"
	start stunnel-server "$SERVER_CPU" "127.0.0.1:$port" stunnel4 "$W/stunnel-server.conf"
	start stunnel "$CLIENT_CPU" "$W/stunnel.sock" stunnel4 "$W/stunnel-client.conf"
}

# The proxies' exporter is nbdkit, the quickest peer on the wire at small requests.
start_house() {
	local port=${AT[nbdkit]##*:}
	start limit-pair "$CLIENT_CPU" "$W/limit.sock" "$NETBUS_BUILD/bench/limit_proxy" "$W"/tls/{client-cert,client-key,ca-cert}.pem "${AT[limit]##*:}" "$W/limit.sock"
	start_stunnel
	start nbdkit-pair "$CLIENT_CPU" "$W/nbdkit.sock" nbdkit -f -U "$W/nbdkit.sock" nbd hostname=127.0.0.1 port="$port" tls=require tls-certificates="$W/tls"
	start qemu-pair "$CLIENT_CPU" "$W/qemu.sock" qemu-nbd -t -e 0 -k "$W/qemu.sock" \
		--object "tls-creds-x509,id=tls0,endpoint=client,dir=$W/tls,verify-peer=yes" \
		--image-opts "driver=nbd,server.type=inet,server.host=127.0.0.1,server.port=$port,tls-creds=tls0"
	on_cpu "$CLIENT_CPU" host_up m1 || die "Netbus' attach host does not start"
	admin m1 host add m2 --address "127.0.0.1:${HOST_PORT[m2]}" >/dev/null &&
		admin m1 attach acme/vm acme/house@m2 --as nbd:house.sock --lanes 4 >/dev/null || die "Netbus does not attach"
	AT[netbus-pair]=$(root_of m1)/run/netbus/nbd/house.sock
}

# ---- a real file ----

file_system() {
	findmnt -n -o FSTYPE -T "$1"
}

# Sets DISK, a file with random bytes on a real file system.
make_disk() {
	DISK=$(mktemp "${BENCH_DISK:-$NETBUS_BUILD}/bench-disk.XXXXXX")
	head -c $((256 << 20)) /dev/urandom >"$DISK" && sync "$DISK" || die "no room for 256 MiB in $(dirname "$DISK")"
	DISK_SYSTEM=$(file_system "$DISK")
	[ "$DISK_SYSTEM" != tmpfs ] || die "$(dirname "$DISK") is a tmpfs: BENCH_DISK says where a real disk is"
}

start_disk() {
	local aio
	for aio in io_uring native; do
		(qemu-img bench -c 1 -f raw -t none -i $aio "$DISK") >/dev/null 2>&1 && break
	done
	QEMU_AIO=$aio
	qemu_nbd qemu-disk "$DISK" --cache=none --aio=$aio
}
