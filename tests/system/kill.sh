# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Processes are killed while a share changes hands, and the world is looked at afterwards. To be sourced after lib.sh and three.sh; kill.test and
# kill_lease.test say what is killed when.
#
# A step is the k-th message of one process, the stepper: strace holds it when that is sent, the victim is killed, and the stepper goes on. Where the victim
# is the stepper itself, it is killed before the message is sent; what the broker makes durable are steps of its own as well.
#
#   kill_world                    three hosts, a watcher of the file behind the share
#   each_step OP GUEST STEPPER VICTIM   a round, NETBUS_ROUNDS times, for each step of OP that STEPPER takes
#   in_worlds FUNCTION...         each in a world of its own, some at once, one more than there are processors; what they say follows in order
#
# OP        attach, renew, revoke_hard, revoke_soft, revoke_drain, steal
# GUEST     of acme/web-1 on m1, the holder (not in attach): idle (everything is written and flushed) or busy (it writes)
# STEPPER   HOST:PROGRAM, or HOST:PROGRAM/CALL where only such system calls are its steps
# VICTIM    HOST:PROGRAM, or HOST (all of its processes at once), or "frozen:" and one of these: stopped instead, and let go on when the next holder has
#           written
#
# After a round, with the hosts whose monitor is gone started again:
#   - acme/web-2 on m2 can attach within lease_ttl + 2 s of the kill (of the export host's being ready again), under a higher epoch
#   - no block of the file goes back to an earlier epoch, nobody writes when another has the share, and what was flushed is there (tests/tool/stamps.c)
#   - a revoke or steal that was answered holds
#   - the trail verifies and has one end for each lease; no process is left over

rounds=${NETBUS_ROUNDS:-1}
within_ms=5000 # lease_ttl + 2 s
longest_ms=0 last_epoch=0

now_ms() {
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# is_running PID: it is there and no zombie.
is_running() {
	grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status" 2>/dev/null
}

# eventually COMMAND...: succeeds within 10 s.
eventually() {
	local until=$((SECONDS + 10))
	until "$@"; do
		[ $SECONDS -lt $until ] || return 1
	done
}

# ---- the world ----

# A bin directory of copies, in which netbus-session and netbus-attach begin under a tracer that holds them at the step $W/bin/NAME.at. A zygote does not come up:
# each session is executed.
own_bin() {
	local name
	mkdir -p "$W/bin/real"
	for name in netbusd netbus-gate netbus-session netbus-attach netbus-broker netbus-keys netbus-enrol netbus-join netbus-admin; do
		cp "$NETBUS_BIN/$name" "$W/bin/$name"
	done
	for name in netbus-session netbus-attach; do
		mv "$W/bin/$name" "$W/bin/real/$name"
		cat >"$W/bin/$name" <<-S
			#!/bin/sh
			case "\$*" in *--zygote*) exit 1 ;; esac
			[ -s "$W/bin/$name.at" ] || exec "$W/bin/real/$name" "\$@"
			read -r call how <"$W/bin/$name.at"
			exec /usr/bin/strace -D -qq -o "$W/events" -e "trace=\$call" -e "inject=\$call:signal=\$how" "$W/bin/real/$name" "\$@"
		S
		chmod 755 "$W/bin/$name"
	done
	chmod 755 "$W" "$W/bin" "$W/bin/real"
	NETBUS_BIN=$W/bin
}

# steps_of STEPPER VICTIM: the system calls that are steps. Sessions and attachments also send to each other.
steps_of() {
	case $1 in
	*/*) echo "${1#*/}" ;;
	*:netbus-session | *:netbus-attach) echo sendmsg sendto ;;
	*:netbus-broker) [ "$1" != "$2" ] && echo sendmsg || echo sendmsg fdatasync ;;
	*) echo sendmsg ;;
	esac
}

kill_world() {
	world_begin
	own_bin
	mkfifo "$W/events" "$W/end" "$W/silent" && chmod 666 "$W/events" && exec 7<>"$W/silent" 8<>"$W/events" 9<>"$W/end" || return 1
	OWN_GROUP=1 three_hosts || return 1
	"$NETBUS_BUILD/tool/stamps" watch "$W/disk-1.img" "$W/ledger" >"$W/watcher" 2>&1 0<&9 &
	watcher=$!
	trap kill_world_end EXIT
	wait_line "$W/watcher" $watcher watching 1
}

kill_world_end() {
	local code=$? host
	for host in "${!HOST_PID[@]}"; do kill -CONT -- "-${HOST_PID[$host]}"; done # what a failed round left stopped
	kill $watcher 2>/dev/null
	(exit $code)
	world_end
}

# The last property of a world.
nothing_went_back() {
	echo >&9
	wait $watcher || { cat "$W/watcher"; return 1; }
	cat "$W/watcher"
	admin m3 lease list --ended --json | jq -e '[.[].epoch] | length == (unique | length)' >/dev/null || { echo "an epoch was given twice"; return 1; }
}

pid_of() {
	local host=${1%%:*} program=${1#*:}
	if [ "$program" = netbusd ]; then
		echo "${HOST_PID[$host]}"
	else
		child_of "$host" "$program" | head -n 1
	fi
}

# target_of VICTIM: what kill(1) wants: a process, or the group of a host's. Nothing where there is no such process.
target_of() {
	case $1 in
	*:*) pid_of "$1" ;;
	none) ;;
	*) echo "-${HOST_PID[$1]}" ;;
	esac
}
hit() {
	[ -n "$target" ] && kill "-$1" -- "$target" 2>/dev/null
}

# ---- the operations ----

# ask HOST ARGS...: netbus-admin, which gets an answer in time or none.
ask() {
	timeout 20 "$NETBUS_BIN/netbus-admin" --root "$(root_of "$1")" "${@:2}"
}
op_attach() { ask m1 attach acme/web-1 acme/disk-1@m3 --as nbd:web-1.sock; }
op_renew() { ! read -r -t 4 -u 7; } # nothing: with an idle guest there are only PINGs
op_revoke_hard() { ask m3 revoke --vm acme/web-1 --yes --mode hard; }
op_revoke_soft() { ask m3 revoke --vm acme/web-1 --yes --mode soft --deadline 1s; }
op_revoke_drain() { ask m3 revoke --vm acme/web-1 --yes --mode drain --deadline 1s; }
op_steal() { ask m3 lease steal "$lease" --reason 'a test' --yes; }

# begin_op: in the background; its end is an event.
begin_op() {
	rm -f "$W/op.code"
	(
		"op_$op_name" >"$W/op.out" 2>&1
		echo $? >"$W/op.code"
		echo "op ended" >&8
	) &
	op=$!
}
end_op() {
	[ "$op_name" != renew ] || kill $op 2>/dev/null
	wait $op
}

# ---- the step ----

# arm: the stepper is to be held at the step. A session or an attachment that is yet to be made finds its number in a file.
arm() {
	local program=${stepper#*:} how=STOP:when=$at line
	[ "$victim" != "$stepper" ] || how=KILL:when=$at
	while read -r -t 0 -u 8; do read -r -t 1 -u 8 line; done
	tracer='' target=$(target_of "${victim#frozen:}")
	case $op_name/$program in
	attach/netbus-session | attach/netbus-attach)
		echo "$call $how" >"$W/bin/$program.at"
		return
		;;
	esac
	strace -p "$(pid_of "$stepper")" -o "$W/events" -e "trace=$call" -e "inject=$call:signal=$how" 2>"$W/events" &
	tracer=$!
	while read -r -t 10 -u 8 line; do
		case $line in *attached) return ;; esac
	done
	echo "the tracer does not come to $stepper"
	return 1
}
disarm() {
	rm -f "$W"/bin/*.at
	pkill -KILL -g "${HOST_PID[${stepper%%:*}]}" -x strace
	[ -n "$tracer" ] || return 0
	kill -INT "$tracer" 2>/dev/null
	wait "$tracer" 2>/dev/null
}

# step_comes: 0 when the stepper is held, or killed; 2 when the operation ended without it. Where it failed it did so because of the killed one, which the
# tracer tells of a little later.
step_comes() {
	local line code seen=''
	while read -r -t 30 -u 8 line || { code=$?; false; }; do
		seen+=$line$'\n'
		case $line in
		*'stopped by SIGSTOP'* | *'killed by SIGKILL'*) return 0 ;;
		*'op ended'*) [ "$(cat "$W/op.code")" -ne 0 ] && [ "$victim" = "$stepper" ] || return 2 ;;
		esac
	done
	echo "neither the step nor the end of the operation comes ($code): $seen"
	return 1
}

# strike: hits the victim; 3 where there is no such victim at this step. Sets hit_at.
strike() {
	local signal=KILL
	hit_at=$(now_ms)
	[ "$victim" != "$stepper" ] || return 0 # the tracer did it
	[ -n "$target" ] || target=$(target_of "${victim#frozen:}")
	[ -n "$target" ] || return 3
	case $victim in frozen:*) signal=STOP ;; esac
	hit $signal
	return 0 # also where it has just left by itself
}

# What the operation was answered before the kill, or at the same time. Of sessions and attachments nobody can say so: they leave by themselves, too.
hit_late() {
	case $code/$victim in
	2/"$stepper") ;;
	*) return 0 ;;
	esac
	case $victim in *:netbus-session | *:netbus-attach) return 0 ;; esac
	is_running "$target" || code=0 hit_at=$(now_ms)
}

# The stepper goes on, without its tracer, where it was not hit itself.
let_go() {
	local program=${stepper#*:}
	disarm
	pkill -CONT -g "${HOST_PID[${stepper%%:*}]}" -x "${program:0:15}"
	case $code/$victim in 0/frozen:*) hit STOP ;; esac
}

# ---- afterwards ----

nobody_is_left() {
	[ -z "$(pgrep -g "$1" -r D,I,R,S,T,t)" ]
}

# Hosts whose monitor is gone are started again, as a supervisor would. After a kill of one of the processes that all depend on, all end.
restart_what_fell() {
	local host pid
	case $victim in
	none | frozen:* | *:netbus-session | *:netbus-attach) ;;
	*) timeout 10 tail --pid="${HOST_PID[${victim%%:*}]}" -f /dev/null || { echo "netbusd outlives $victim"; return 1; } ;;
	esac
	for host in m3 m1 m2; do
		pid=${HOST_PID[$host]}
		is_running "$pid" && continue
		wait "$pid" 2>/dev/null
		eventually nobody_is_left "$pid" || { echo "processes of $host are left: $(pgrep -a -g "$pid")"; return 1; }
		OWN_GROUP=1 host_up $host || return 1
		admin $host audit verify >"$W/verify" 2>&1 || { cat "$W/verify"; return 1; }
		[ $host != m3 ] || { hit_at=$(now_ms); know_exporter; }
	done
}

# The export host was frozen for so long that the attach host gave it up; the time runs from when it goes on.
thaw_exporter() {
	[ "$victim" = frozen:m3 ] || return 0
	wait_trail m1 attachment.down "$(trail m1 | grep -c '"event":"attachment.start"')" || return 1
	hit CONT
	hit_at=$(now_ms)
}

guest() {
	: >"$W/$1.guest"
	"$NETBUS_BUILD/tool/stamps" write "$1" "$(uri)" "$W/ledger" "$2" "$3" 2 >>"$W/$1.guest" 2>&1 &
	guest=$!
	wait_line "$W/$1.guest" $guest written 1
}

# The next holder, as soon as it can.
next_holder_comes() {
	local took epoch
	until attach_at m2 acme/web-2 --lanes 2 >"$W/next" 2>&1; do
		[ $(($(now_ms) - hit_at)) -lt $within_ms ] || { echo "the share is stuck:"; cat "$W/next"; admin m3 lease list; return 1; }
	done
	took=$(($(now_ms) - hit_at))
	[ $took -le $longest_ms ] || longest_ms=$took
	[ $took -lt $within_ms ] || { echo "the next holder had to wait $took ms"; return 1; }
	epoch=$(admin m3 lease list --json | jq -r 'if length == 1 and .[0].vm == "acme/web-2" then .[0].epoch else 0 end')
	[ "$epoch" -gt "$last_epoch" ] || { echo "epoch $epoch follows epoch $last_epoch"; admin m3 lease list; return 1; }
	last_epoch=$epoch
	holder=$guest
	guest once m2/acme/web-2 "$epoch" && wait $guest || { cat "$W/once.guest"; return 1; }
}

# The holder is let go on where it was frozen, and learns that it is over.
holder_is_over() {
	case $victim in frozen:m3) ;; frozen:*) hit CONT ;; esac
	[ "$op_name" != attach ] || return 0
	timeout 10 tail --pid="$holder" -f /dev/null || { echo "the former holder does not end"; kill -KILL "$holder"; return 1; }
	wait "$holder" || { cat "$W/$guest_kind.guest"; return 1; }
}

# What was answered to the operator holds: acme/web-1 does not get the share back.
answer_holds() {
	case $op_name/$(cat "$W/op.code" 2>/dev/null) in
	revoke_*/0 | revoke_*/6 | steal/0) expect_code 3 attach_at m1 acme/web-1 ;;
	esac
}

nothing_executes() {
	[ -z "$(child_of m3 netbus-session)" ] && [ -z "$(child_of m1 netbus-attach)" ] && [ -z "$(child_of m2 netbus-attach)" ]
}

# Records that were on disk before a transaction that never was, are taken back by one that says so at the next start.
each_lease_has_one_end() {
	trail m3 | tail -n +$((lines + 1)) | jq -es '
		[.[] | select(.event == "trail.recovered").detail | range(.first; .first + .records)] as $void | map(select(.seq | IN($void[]) | not)) |
		([.[] | select(.event == "attach.allow").lease] | sort) as $begun | ([.[] | select(.event == "lease.end" or .event == "lease.orphaned").lease] | sort) as $ended |
		$begun == $ended and ($begun | length) > 0' >/dev/null || { trail m3 | tail -n +$((lines + 1)); return 1; }
}

all_is_well() {
	local host
	give_back m2 acme/web-2 && eventually nothing_executes || { echo "something is left:"; pgrep -a -g "${HOST_PID[m1]},${HOST_PID[m2]},${HOST_PID[m3]}"; return 1; }
	[ "$(admin m3 lease list --json)" = '[]' ] || { admin m3 lease list; return 1; }
	answer_holds && each_lease_has_one_end || return 1
	admin m3 audit verify >"$W/verify" 2>&1 || { cat "$W/verify"; return 1; }
	is_running "$watcher" || { cat "$W/watcher"; return 1; }
	"$NETBUS_BUILD/tool/stamps" check "$W/disk-1.img" "$W/ledger" >"$W/check" 2>&1 || { cat "$W/check"; return 1; }
}

# ---- a round ----

holder_comes() {
	grant acme/web-1 && grant acme/web-2 || return 1
	[ "$op_name" != attach ] || return 0
	attach_at m1 acme/web-1 --lanes 2 >/dev/null || return 1
	lease=$(admin m3 lease list --json | jq -r '.[0].lease')
	last_epoch=$(admin m3 lease list --json | jq -r '.[0].epoch')
	guest "$guest_kind" m1/acme/web-1 "$last_epoch" || { cat "$W/$guest_kind.guest"; return 1; }
}

# The operation was not disturbed: the holder, where there is one still, leaves by itself.
holder_leaves() {
	give_back m1 acme/web-1 2>/dev/null
	victim=none hit_at=$(now_ms)
}

# round OP GUEST STEPPER CALL K VICTIM: 0 = hit and all is well, 1 = something is wrong, 2 = the operation has no such step, 3 = no such victim at that step.
round() {
	local op_name=$1 guest_kind=$2 stepper=$3 call=$4 at=$5 victim=$6
	local code=0 tracer='' target='' lines op guest='' holder='' lease='' hit_at
	lines=$(trail m3 | wc -l)
	holder_comes && arm || return 1
	begin_op
	step_comes && strike || code=$?
	let_go
	hit_late
	end_op
	[ "$code" -ne 1 ] || return 1
	[ "$code" -eq 0 ] || holder_leaves
	restart_what_fell && thaw_exporter && next_holder_comes && holder_is_over && all_is_well || return 1
	return $code
}

# each_step OP GUEST STEPPER VICTIM [MOST]
each_step() {
	local call at code steps=0
	for call in $(steps_of "$3" "$4"); do
		for at in $(seq "${5:-30}"); do
			for _ in $(seq "$rounds"); do
				code=0
				round "$1" "$2" "${3%/*}" "$call" "$at" "$4" || code=$?
				[ "$code" -ne 1 ] || { echo "$1, $2 guest: $4 hit at $call $at of $3; $(cat "$W/op.code" "$W/op.out" 2>/dev/null)"; return 1; }
				[ "$code" -eq 0 ] || break
				steps=$((steps + 1))
			done
			[ "$code" -ne 2 ] || break
		done
	done
	echo "$steps rounds"
	[ "$steps" -gt 0 ]
}

# ---- many worlds ----

# in_world FUNCTION: properties in a world of their own.
in_world() {
	failures=0 it_out=$(mktemp)
	kill_world || { echo "not ok - $1: no world to test in"; exit 1; }
	"$1"
	it nothing_went_back
	echo "# $1: the next holder waited $longest_ms ms at most"
	finish
}

in_worlds() {
	local said name code=0 running=0
	said=$(mktemp -d)
	for name in "$@"; do
		[ $running -le "$(nproc)" ] || { wait -n || code=1; running=$((running - 1)); }
		(in_world "$name") >"$said/$name" 2>&1 &
		running=$((running + 1))
	done
	while [ $running -gt 0 ]; do
		wait -n || code=1
		running=$((running - 1))
	done
	(cd "$said" && cat "$@")
	rm -rf "$said" "$it_out"
	return $code
}
