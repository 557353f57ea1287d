# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A small world for tests with real daemons: a scratch PKI and named hosts, each a real netbusd in a --root of its own, on loopback. Nothing
# outside the scratch directory is touched; everything that was started is ended by pid.
#
#   world_begin                 makes $W and the PKI
#   host_make NAME <<YAML       a host's tree; standard input: its `shares:` block and more (may be empty)
#   host_policy NAME FILE <<YAML   a file of its policy.d
#   host_up NAME / host_down NAME / host_kill NAME   (NETBUS_WITHOUT_URING=1: on a machine that has no io_uring, as it seems to the host;
#                               OWN_GROUP=1: its processes are a process group of their own, which has the monitor's number)
#   admin NAME ARGS...          netbus-admin against that host
#   world_end                   (runs by itself on exit)

. "$(dirname "${BASH_SOURCE[0]}")/../arch/lib.sh"

: "${NETBUS_BIN:?set it to the directory of the built programs, or use make check-system}"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:disable_coredump=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
declare -A HOST_PID=() HOST_PORT=()
W=

world_begin() {
	W=$(mktemp -d "${TMPDIR:-/tmp}/netbus-test.XXXXXX")
	trap world_end EXIT
	"$NETBUS_BIN/netbus-admin" pki init --trust-domain test.example --dir "$W/ca" >/dev/null
}

# Ends what still runs, shows the logs when a property failed, and looks for sanitizer reports.
world_end() {
	local code=$? host
	trap - EXIT
	for host in "${!HOST_PID[@]}"; do
		host_down "$host"
	done
	if grep -lE 'ERROR: (Address|Leak|UndefinedBehavior)Sanitizer|runtime error:' "$W"/*.log >/dev/null 2>&1; then
		echo "not ok - sanitizers_find_nothing"
		grep -hE -A 25 'ERROR: (Address|Leak|UndefinedBehavior)Sanitizer|runtime error:' "$W"/*.log | head -n 120
		code=1
	fi
	if [ "$code" -ne 0 ]; then
		for host in "$W"/*.log; do
			[ -e "$host" ] || continue
			echo "--- $(basename "$host")"
			tail -n 40 "$host"
		done
	fi
	[ -n "${NETBUS_KEEP:-}" ] || rm -rf "$W"
	exit "$code"
}

root_of() {
	echo "$W/$1"
}

host_make() {
	local name=$1 root
	root=$(root_of "$name")
	mkdir -p "$root/etc/netbus/policy.d" "$root/etc/netbus/pki"
	"$NETBUS_BIN/netbus-admin" pki issue "$name" --dir "$W/ca" --out "$root/etc/netbus/pki" ${PKI_ARGS:-} >/dev/null
	{
		printf 'version: 1\nhost: %s\nlisten: ["127.0.0.1:0"]\n' "$name"
		cat
	} >"$root/etc/netbus/netbusd.yaml"
}

host_policy() {
	cat >"$(root_of "$1")/etc/netbus/policy.d/$2"
}

# wait_line FILE PID PATTERN COUNT: until FILE has COUNT lines that match. Follows the file as long as PID lives; no polling. The lines go to wc, since
# grep ends at the first match where nobody reads them.
wait_line() {
	local seen
	seen=$(timeout "${WAIT:-30}" grep -m "$4" -E "$3" <(tail -n +1 -F --pid="$2" "$1" 2>/dev/null) | wc -l)
	[ "$seen" -eq "$4" ] || {
		echo "$(basename "$1") has $seen of $4 lines '$3'"
		return 1
	}
}

# wait_log NAME PATTERN [COUNT], wait_trail NAME EVENT [COUNT]: until the host's log, or its trail, has that many.
wait_log() {
	wait_line "$W/$1.log" "${HOST_PID[$1]:-$$}" "$2" "${3:-1}"
}
wait_trail() {
	wait_line "$(root_of "$1")/var/log/netbus/audit.jsonl" "${HOST_PID[$1]:-$$}" "\"event\":\"$2\"" "${3:-1}"
}

host_up() {
	local name=$1 seen through=()
	seen=$(grep -c 'ready, listening' "$W/$name.log" 2>/dev/null)
	[ -z "${OWN_GROUP:-}" ] || through=(setsid)
	[ -z "${NETBUS_WITHOUT_URING:-}" ] || through+=("$NETBUS_BUILD/tool/without_uring")
	"${through[@]}" "$NETBUS_BIN/netbusd" --root "$(root_of "$name")" >>"$W/$name.log" 2>&1 </dev/null &
	HOST_PID[$name]=$!
	wait_log "$name" 'ready, listening' $((${seen:-0} + 1)) || return 1
	HOST_PORT[$name]=$(sed -n 's/.*ready, listening on .*:\([0-9]*\).*/\1/p' "$W/$name.log" | tail -n 1)
}

host_down() {
	local pid=${HOST_PID[$1]:-}
	[ -n "$pid" ] || return 0
	kill -TERM "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	local code=$?
	unset "HOST_PID[$1]"
	return $code
}

host_kill() {
	local pid=${HOST_PID[$1]:-}
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	unset "HOST_PID[$1]"
	return 0
}

# child_of NAME PROGRAM: pids of a host's processes of that kind.
child_of() {
	pgrep -P "${HOST_PID[$1]}" -x "$(cut -c1-15 <<<"$2")"
}

admin() {
	local name=$1
	shift
	"$NETBUS_BIN/netbus-admin" --root "$(root_of "$name")" "$@"
}

# The audit trail of a host, one JSON object a line.
trail() {
	cat "$(root_of "$1")/var/log/netbus/audit.jsonl"
}

# recorded HOST FILTER [LAST]: one of the trail's lines (of its LAST lines) is such that the jq FILTER is true. (`jq -e` by itself judges by the last line.)
recorded() {
	trail "$1" | tail -n "${3:-+1}" | jq -es "any(.[]; $2)" >/dev/null
}

# expect_code CODE COMMAND...: runs it, shows what it printed if the exit code is another.
expect_code() {
	local want=$1 out code=0
	shift
	out=$("$@" 2>&1) || code=$?
	[ "$code" -eq "$want" ] && return 0
	echo "exit code $code, wanted $want: $*"
	echo "$out"
	return 1
}

# Two hosts, m1 (attaches) and m2 (exports acme/disk-1, a 64 MiB file), a policy that lets m1 attach for acme's VMs with a grant.
two_hosts() {
	world_begin
	host_make m1 </dev/null
	truncate -s "${DISK_SIZE:-64M}" "$W/disk-1.img"
	host_make m2 <<-YAML
		shares:
		  acme/disk-1: {path: $W/disk-1.img}
		  acme/ram: {memory: 16MiB}
		  globex/disk-9: {memory: 1MiB}
		${EXTRA_YAML:-}
	YAML
	host_policy m2 10-test.yaml <<-'YAML'
		version: 1
		tenant: acme
		rules:
		  - id: acme-disks
		    allow: [attach, discard, list]
		    hosts: [m1]
		    vms: "*"
		    shares: "*"
		    mode: rw
	YAML
	host_up m2 && host_up m1 || return 1
	admin m1 host add m2 --address "127.0.0.1:${HOST_PORT[m2]}" >/dev/null
}

# socket_of VM SHARE: sets SOCK, the NBD socket on m1 that uri() speaks of.
socket_of() {
	SOCK=$(root_of m1)/run/netbus/nbd/${1//\//-}-$(basename "$2").sock
}

# attach VM SHARE [ARGS...]: from m1 to m2; sets SOCK.
attach() {
	local vm=$1 share=$2
	shift 2
	socket_of "$vm" "$share"
	admin m1 attach "$vm" "$share@m2" --as "nbd:$(basename "$SOCK")" "$@"
}
uri() {
	echo "nbd+unix:///?socket=$SOCK"
}
