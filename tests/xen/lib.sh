# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Two emulated machines for tests with real Xen: m2, a plain Linux that exports, and m1, a Xen host whose dom0 attaches. Each runs netbusd; one wire joins them,
# and nothing joins them to the outside. Software emulation (QEMU's TCG), so no hardware is asked for.
#
#   machines                   both are up and their netbusds see each other: those of an earlier test, or new ones
#   dom0 CMD                   runs CMD by sh in m1's dom0: its output, its exit code (124: it took more than WAIT seconds, 60)
#   exporter CMD               the same on m2
#   guest_up NAME [<<LINES]    starts a PV guest of that name and waits for its agent; standard input: more lines of its xl configuration, such as its disks
#   guest NAME CMD             the same as dom0 in that guest       guest_down NAME    destroys it, if it is there
#   netbus_disks SHARE:VDEV... what to give guest_up for disks that are shares of m2
#   admin m1|m2 ARGS...        netbus-admin there                   trail m1|m2        its audit trail, since the test began
#   driver_domain              starts drv: a guest with netbusd, host drv, and with a way to m2; `admin`, `trail` and `on` know it as they know m1
#   xen_begin                  machines, without the guests and grants of an earlier test
#   finish                     the exit code, and an end to what was started
#
# M1_BUILD: the build that m1's Netbus is of, if it is another. NETBUSD_ENV: "NAME=VALUE" for netbusd. M1_MORE: a directory
# that is laid over m1, for tests/xen/bench, with what the images have for that.
# With NETBUS_XEN_RUN (tests/run sets it) the machines live in that directory and outlive a test that passed; whoever set it calls `machines_down`. A test
# that failed ends them, so that the next begins with new ones, and leaves what their consoles and daemons said in $NETBUS_BUILD/test-logs/xen/.

xen_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$xen_here/../arch/lib.sh"

: "${NETBUS_BUILD:?set it to the build directory, or use make check-xen}"
NETBUS_BIN=${NETBUS_BIN:-$NETBUS_BUILD/bin}
PATH=$PATH:/usr/sbin:/sbin
X=${NETBUS_XEN_RUN:-$(mktemp -d "${TMPDIR:-/tmp}/netbus-xen.XXXXXX")} # what belongs to the machines
agent=$NETBUS_BUILD/xen/agent
test_name=$(basename "$0" .test)

# ---- what is laid over the images: Netbus, its configuration, the agent ----

# with_libraries ROOT FILE...: the libraries of this machine that programs need, where they are here.
with_libraries() {
	local root=$1
	shift
	ldd "$@" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r library; do
		install -D -m 0755 "$library" "$root/usr/lib/x86_64-linux-gnu/${library##*/}"
	done
}

pack() {
	(cd "$1" && find . | "$images/busybox" cpio -o -H newc -R 0:0 2>/dev/null)
}

# lay_netbus ROOT BUILD: a directory of the tests' own, with Netbus as `make install` puts it there, and a user for each program.
lay_netbus() {
	local root=$1
	mkdir -p "$root/etc/netbus/policy.d" "$root/usr/bin"
	DESTDIR=$root PREFIX=/usr BUILD=$2 "$xen_here/../../etc/install" install >/dev/null || return 1
	rm -rf "$root"/usr/share/{man,doc}
	with_libraries "$root" "$root"/usr/sbin/* "$root"/usr/bin/* "$root"/usr/libexec/netbus/*
	mkdir -p "$root/etc/xen/scripts"
	ln -s /usr/libexec/netbus/block-netbus "$root/etc/xen/scripts/" # as its own head says
	install -m 0755 "$agent" "$root/usr/bin/agent"
	install -m 0755 "$xen_here/init-machine" "$root/init"
	{
		echo 'root:x:0:0:root:/root:/bin/sh'
		awk '$1 == "u" {n++; print $2 ":x:" 900 + n ":" 900 + n "::/:/bin/false"}' "$xen_here/../../etc/netbus.sysusers"
	} >"$root/etc/passwd"
	awk -F: '{print $1 ":x:" $4 ":"}' "$root/etc/passwd" >"$root/etc/group"
}

lay_guest() {
	local root=$1
	mkdir -p "$root/usr/bin"
	install -m 0755 "$xen_here/init-guest" "$root/init"
	install -m 0755 "$agent" "$root/usr/bin/agent"
	install -m 0755 "$NETBUS_BUILD"/xen/{work,load,hostile,grants} "$root/usr/bin/"
	with_libraries "$root" "$root/usr/bin/hostile"
}

# The shares of m2, and who may have them: a disk of 64 MiB for whatever a test wants, some that are refused in different ways, and another tenant's.
shares='acme/disk-1 acme/disk-2 acme/disk-3 acme/root acme/elsewhere acme/ticketed globex/disk-1'
configure_m2() {
	local root=$1 share
	{
		printf 'version: 1\nhost: m2\nlisten: ["10.9.0.2:7715"]\nlease_ttl: %s\nshares:\n' "${LEASE_TTL:-15s}"
		for share in $shares; do
			echo "  $share: {path: /srv/${share//\//-}.img}"
		done
		printf '  acme/ram: {memory: 16MiB}\n'
	} >"$root/etc/netbus/netbusd.yaml"
	cat >"$root/etc/netbus/policy.d/10-acme.yaml" <<-'YAML'
		version: 1
		tenant: acme
		rules:
		  - id: acme-disks
		    allow: [attach, discard, list]
		    hosts: [m1, drv]
		    vms: "*"
		    shares: [disk-1, disk-2, disk-3, root, ram]
		    mode: rw
		  - id: acme-elsewhere
		    allow: [attach, discard, list]
		    hosts: [m3]
		    vms: "*"
		    shares: [elsewhere]
		    mode: rw
		  - id: acme-ticketed
		    allow: [attach, discard, list]
		    hosts: [m1]
		    vms: "*"
		    shares: [ticketed]
		    mode: rw
		    ticket: required
	YAML
	sed 's/acme/globex/; s/\[disk-1, .*\]/"*"/; /-elsewhere/,$d' "$root/etc/netbus/policy.d/10-acme.yaml" >"$root/etc/netbus/policy.d/20-globex.yaml"
}

# The guests that tests make, and the VM that policies call each.
configure_m1() {
	{
		printf 'version: 1\nhost: m1\nlisten: []\npeers: {m2: "10.9.0.2:7715"}\n'
		[ ! -e "$NETBUS_BIN/netbus-xenwatch" ] ||
			printf 'xen:\n  vms:\n    web-1: acme/web-1\n    web-2: acme/web-2\n    db-1: globex/db-1\n'
	} >"$1/etc/netbus/netbusd.yaml"
}

# $X/m1.cpio, $X/m2.cpio: what each boots.
lay_machines() {
	local name
	rm -rf "$X/lay" "$X/ca"
	"$NETBUS_BIN/netbus-admin" pki init --trust-domain test.example --dir "$X/ca" >/dev/null || return 1
	lay_netbus "$X/lay/netbus-m1" "${M1_BUILD:-$NETBUS_BUILD}" && lay_netbus "$X/lay/netbus-m2" "$NETBUS_BUILD" && lay_guest "$X/lay/guest" || return 1
	for name in m1 m2; do
		mkdir -p "$X/lay/$name/etc/netbus/policy.d" "$X/lay/$name/boot"
		"$NETBUS_BIN/netbus-admin" pki issue "$name" --dir "$X/ca" --out "$X/lay/$name/etc/netbus/pki" >/dev/null || return 1
		configure_$name "$X/lay/$name"
	done
	{ cat "$images/guest.cpio" && pack "$X/lay/guest"; } >"$X/lay/m1/boot/guest.cpio" || return 1
	for name in m1 m2; do
		{ cat "$images/machine.cpio" && pack "$X/lay/netbus-$name" && pack "$X/lay/$name"; } >"$X/$name.cpio" || return 1
	done
	[ -z "${M1_MORE:-}" ] || { pack "$M1_MORE" && cat "$images/bench.cpio"; } >>"$X/m1.cpio" || return 1
	rm -rf "$X/lay"
}

# ---- machines ----

# boot NAME MEMORY_MIB ARGS...: starts the emulator. com1 is the console, com2 the agent's line; the disk is /srv. It ends by itself after a while, come
# what may.
boot() {
	local name=$1 memory=$2
	shift 2
	rm -rf "${X:?}/$name"
	mkdir -p "$X/$name"
	truncate -s 1G "$X/$name/disk.img"
	mke2fs -q -t ext4 -O ^has_journal -E nodiscard "$X/$name/disk.img" || return 1
	timeout -k 5 "${NETBUS_XEN_LIFE:-2400}" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-machine pc,hpet=on -accel tcg -cpu qemu64,+rdrand,+svm,+npt -smp 1 -m "$memory" \
		-serial "file:$X/$name/console.log" \
		-chardev "socket,id=line,path=$X/$name/line,server=on,wait=off" -serial chardev:line \
		-drive "file=$X/$name/disk.img,format=raw,if=virtio,cache=unsafe" \
		-device "virtio-net-pci,netdev=wire,romfile=,mac=52:54:00:09:00:0${name#m}" "$@" >"$X/$name/qemu.log" 2>&1 </dev/null &
	echo $! >"$X/$name/pid"
	"$agent" await "$X/$name/line" 20
}

# The same kernel for both. Without bootscrub Xen does not write to all memory first.
boot_m2() {
	boot m2 640 -netdev "stream,id=wire,server=on,addr.type=unix,addr.path=$X/wire" \
		-kernel "$images/vmlinux" -initrd "$X/m2.cpio" -append "console=ttyS0 quiet lab.name=m2 lab.address=10.9.0.2/24"
}
boot_m1() {
	boot m1 1536 -netdev "stream,id=wire,server=off,addr.type=unix,addr.path=$X/wire" \
		-kernel "$images/xen" -append "console=com1 com1=115200,8n1 noreboot dom0_mem=768M,max:768M loglvl=warning guest_loglvl=warning bootscrub=0" \
		-initrd "$images/vmlinux console=hvc0 quiet loglevel=4 lab.name=m1 lab.address=10.9.0.1/24,$X/m1.cpio"
}

# pid_of NAME: of its emulator, if that lives and is ours.
pid_of() {
	local pid
	pid=$(cat "$X/$1/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$X/$1/line" && echo "$pid"
}

# on NAME CMD: a machine, or a guest.
on() {
	local name=$1 code=0
	shift
	[ -e "$X/$name" ] || { guest "$name" "$*"; return; }
	flock "$X/$name/lock" "$agent" run "$X/$name/line" "${WAIT:-60}" "$*" || code=$?
	return $code
}
dom0() {
	on m1 "$@"
}
exporter() {
	on m2 "$@"
}

answers() {
	pid_of "$1" >/dev/null && flock "$X/$1/lock" "$agent" greet "$X/$1/line" "$2"
}

# netbusd_up NAME: starts it there, after what the list of directories asks for, as a service manager would.
netbusd_up() {
	# shellcheck disable=SC2016 # the machine expands it
	on "$1" 'while read -r kind path mode user group age; do
			[ "$kind" != d ] || { mkdir -p $path && chmod $mode $path && chown $user:$group $path; }
		done </usr/lib/tmpfiles.d/netbus.conf
		[ ! -e /var/log/netbusd.log ] || cat /var/log/netbusd.log >>/var/log/netbusd.earlier
		: >/var/log/netbusd.log
		'"${NETBUSD_ENV:-}"' setsid netbusd >>/var/log/netbusd.log 2>&1 &
		echo $! >/run/netbusd.pid
		agent await /var/log/netbusd.log 30 "ready, listening" || { cat /var/log/netbusd.log; exit 1; }'
}

start_machines() {
	local share
	images=$("$xen_here/images") || return 1
	lay_machines && boot_m2 && boot_m1 && answers m2 60 && answers m1 120 || return 1
	exporter "cd /srv && for share in ${shares//\//-}; do truncate -s 64M \$share.img || exit 1; done" || return 1
	netbusd_up m2 && netbusd_up m1
}

machines() {
	mkdir -p "$X"
	answers m1 10 2>/dev/null && answers m2 10 2>/dev/null || {
		machines_down
		start_machines
	}
}

machine_down() {
	local pid
	pid=$(pid_of "$1") || return 0
	kill "$pid" 2>/dev/null
	timeout 20 tail --pid="$pid" -s 0.1 -f /dev/null
}
machines_down() {
	machine_down m1
	machine_down m2
}

# ---- guests ----

quoted() {
	printf "'%s'" "${1//\'/\'\\\'\'}"
}

# console NAME: shell text that sets `line` to the guest's console in dom0.
console() {
	# shellcheck disable=SC2016 # dom0 expands it
	printf 'line=$(xenstore-read /local/domain/$(xl domid %s)/console/tty) || exit 254' "$1"
}

guest() {
	local name=$1 seconds=${WAIT:-60}
	shift
	WAIT=$((seconds + 15)) dom0 "$(console "$name"); agent run \$line $seconds $(quoted "$*")"
}
guest_answers() {
	WAIT=$((${2:-60} + 15)) dom0 "$(console "$1"); agent greet \$line ${2:-60}"
}

# guest_config NAME: /run/NAME.cfg in dom0.
guest_config() {
	local more=
	[ -t 0 ] || more=$(cat)
	dom0 "cat >/run/$1.cfg <<-'CFG'
		name = \"$1\"
		type = \"pv\"
		kernel = \"/boot/vmlinux\"
		ramdisk = \"/boot/${GUEST_RAMDISK:-guest}.cpio\"
		extra = \"console=hvc0 quiet loglevel=1 ${GUEST_EXTRA:-}\"
		memory = ${GUEST_MEMORY:-128}
		vcpus = 1
		on_crash = \"restart\"
		$more
	CFG"
}
guest_up() {
	guest_config "$1" && dom0 "xl create /run/$1.cfg" && guest_answers "$1" 90
}
guest_down() {
	dom0 "xl domid $1 >/dev/null 2>&1 || exit 0; xl destroy $1"
}

# ---- a driver domain ----

# lay_driver_domain: /boot/drv.cpio in dom0. A guest with dom0's Netbus and libraries, and with a configuration and certificate of its own.
lay_driver_domain() {
	local lay=$X/lay-drv code=0
	rm -rf "$lay" && mkdir -p "$lay/etc/netbus/policy.d" && "$NETBUS_BIN/netbus-admin" pki issue drv --dir "$X/ca" --out "$lay/etc/netbus/pki" >/dev/null || return 1
	printf 'version: 1\nhost: drv\nlisten: []\npeers: {m2: "10.9.0.2:7715"}\nxen:\n  serve: [vbd]\n  vms: {web-1: acme/web-1}\n' >"$lay/etc/netbus/netbusd.yaml"
	dom0 "rm -rf /run/drv && mkdir /run/drv && base64 -d <<'TAR' | tar -x -z -C /run/drv && cd / && {
$(tar -C "$lay" -c . | gzip | base64)
TAR
		cat /boot/guest.cpio
		find usr/sbin/netbusd usr/bin/netbus-admin usr/libexec usr/lib/x86_64-linux-gnu usr/lib/tmpfiles.d etc/passwd etc/group | cpio -o -H newc 2>/dev/null
		cd /run/drv && find . | cpio -o -H newc -R 0:0 2>/dev/null
	} >/boot/drv.cpio" || code=$?
	rm -rf "$lay"
	return $code
}

# The network of 10.9.1.0/30 is between drv and dom0, which passes on what is for m2.
route_driver_domain() {
	dom0 'modprobe xen-netback && echo 1 >/proc/sys/net/ipv4/ip_forward && cat >/etc/xen/scripts/vif-drv <<-"SCRIPT" && chmod 755 /etc/xen/scripts/vif-drv
		#!/bin/sh
		[ "$1" != online ] || { ip addr add 10.9.1.1/30 dev "$vif" && ip link set "$vif" up && xenstore-write "$XENBUS_PATH/hotplug-status" connected; }
	SCRIPT' && exporter 'ip route replace 10.9.1.0/30 via 10.9.0.1'
}

driver_domain() {
	guest_down drv
	trail_begin[drv]=1
	route_driver_domain && lay_driver_domain && GUEST_RAMDISK=drv GUEST_MEMORY=256 guest_up drv <<-'LINES' || return 1
		driver_domain = 1
		vif = ["script=vif-drv"]
	LINES
	on drv 'for module in xen-netfront xen-evtchn xen-gntdev xenfs; do modprobe $module || exit 1; done
		mount -t xenfs xenfs /proc/xen; agent await /sys/class/net/eth0 20 &&
		ip addr add 10.9.1.2/30 dev eth0 && ip link set eth0 up && ip route add default via 10.9.1.1 && ping -c 1 -w 20 10.9.0.2' && netbusd_up drv
}

# ---- Netbus ----

admin() {
	local name=$1 words='' word
	shift
	for word in "$@"; do
		words+=" $(quoted "$word")"
	done
	on "$name" "netbus-admin$words"
}
# Records before these are another test's.
declare -A trail_begin=([m1]=1 [m2]=1)
trail() {
	on "$1" "tail -n +${trail_begin[$1]} /var/log/netbus/audit.jsonl"
}
# recorded HOST FILTER: one of the trail's lines is such that the jq FILTER is true.
recorded() {
	trail "$1" | jq -es "any(.[]; $2)" >/dev/null
}

# netbus_disks SHARE:VDEV[:ro]...: lines for a guest's configuration, by the recommended way (netbus-xen(7)).
netbus_disks() {
	local disk share vdev mode lines=()
	for disk in "$@"; do
		IFS=: read -r share vdev mode <<<"$disk"
		lines+=("\"format=raw,vdev=$vdev,access=${mode:-rw},backendtype=qdisk,target=netbus://m2/$share\"")
	done
	printf 'device_model_version = "qemu-xen"\ndevice_model_override = "/usr/libexec/netbus/netbus-xen-dm"\n'
	printf 'disk = [%s]\n' "$(IFS=,; echo "${lines[*]}")"
}

# eventually COMMAND...: it holds before WAIT seconds (30) are over. Each try asks a machine, which takes its time.
eventually() {
	local end=$((SECONDS + ${WAIT:-30}))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { "$@"; return; }
	done
}
no_lease() {
	admin m2 lease list --json | jq -e --arg share "$1" 'all(.[]; .share != $share)'
}
# connected GUEST VDEV: its disk is, as xl says.
connected() {
	dom0 "xl block-list $1" | awk -v vdev="$2" '$1 == vdev && $4 == 4 {found = 1} END {exit !found}'
}

# granted VM SHARE...: also after a revoke.
granted() {
	local vm=$1 share
	shift
	for share in "$@"; do
		admin m2 grant "$vm" "$share" --mode rw --reason test || return 1
	done
}

# image SHARE: where m2 has it.      fresh SHARE...: all zeros.     checksum SHARE: of what m2 has.
image() {
	echo "/srv/${1//\//-}.img"
}
fresh() {
	local share
	for share in "$@"; do
		exporter "truncate -s 0 $(image "$share") && truncate -s 64M $(image "$share")" || return 1
	done
}
checksum() {
	exporter "sha256sum <$(image "$1")"
}

# work_up GUEST DISK SECONDS: a writer that knows what it wrote (work.c) begins, and is answered. work_done GUEST: it has ended, and what it said.
work_up() {
	guest "$1" "setsid work run /dev/$2 $3 ${RANDOM} >/tmp/$2.log 2>&1 & agent await /tmp/$2.log 60 running"
}
work_done() {
	guest "$1" "kill \$(pidof work) 2>/dev/null; agent await /tmp/$2.log ${WAIT:-60} done; cat /tmp/$2.log"
}
# nothing_lost WHAT_IT_SAID
nothing_lost() {
	echo "$1"
	grep -q 'work: done, [0-9]* writes, [0-9]* reads, 0 errors, 0 wrong' <<<"$1"
}

# ---- the end ----

# What was said, for a person who looks for the fault.
keep_logs() {
	local logs=$NETBUS_BUILD/test-logs/xen name
	mkdir -p "$logs"
	for name in m1 m2; do
		[ -d "$X/$name" ] || continue
		cp "$X/$name/console.log" "$logs/$test_name-$name-console.log" 2>/dev/null
		cp "$X/$name/qemu.log" "$logs/$test_name-$name-qemu.log" 2>/dev/null
		WAIT=20 on "$name" 'dmesg | tail -n 60; echo "---- trail"; cat /var/log/netbus/audit.jsonl; echo "---- netbusd"; cat /var/log/netbusd.earlier /var/log/netbusd.log' \
			>"$logs/$test_name-$name-netbusd.log" 2>&1
	done
	! WAIT=20 dom0 'xl domid drv' >/dev/null 2>&1 ||
		WAIT=20 on drv 'cat /var/log/netbus/audit.jsonl; echo "---- netbusd"; cat /var/log/netbusd.log; dmesg | tail -n 20' >"$logs/$test_name-drv-netbusd.log" 2>&1
	WAIT=20 dom0 'xl list; xl dmesg | tail -n 60; xenstore-ls -fp | grep -E "vbd|backend|error"; tail -n 30 /var/log/xen/*.log; grep -v @ /var/log/xen/console/*' \
		>"$logs/$test_name-xen.log" 2>&1
	echo "# consoles and logs: $logs/$test_name-*.log"
	tail -n 15 "$logs/$test_name"-m[12]-netbusd.log 2>/dev/null | sed 's/^/# /'
}

xen_end() {
	local code=$?
	trap - EXIT
	[ "$code" -eq 0 ] || keep_logs
	[ "$code" -eq 0 ] && [ -n "${NETBUS_XEN_RUN:-}" ] || machines_down
	[ -n "${NETBUS_XEN_RUN:-}" ] || rm -rf "$X"
	exit "$code"
}
# What an earlier test left: guests, grants, leases, bars.
nothing_is_held() {
	[ "$(admin m2 lease list --json)$(admin m2 grant list --json)" = '[][]' ]
}
nothing_is_left() {
	local name
	for name in $(dom0 'xl list' | awk 'NR > 1 && $1 != "Domain-0" {print $1}'); do
		dom0 "xl destroy $name" || return 1
	done
	for name in acme globex; do
		admin m2 revoke --tenant $name --mode hard --yes --reason "the next test" >/dev/null
	done
	for name in $(admin m2 bar list --json | jq -r '.[].id'); do
		admin m2 bar lift "$name" --reason "the next test" || return 1
	done
	eventually nothing_is_held || return 1
	for name in m1 m2; do
		trail_begin[$name]=$(on "$name" 'expr $(wc -l </var/log/netbus/audit.jsonl) + 1') || return 1
	done
}
xen_begin() {
	trap xen_end EXIT
	it machines
	it nothing_is_left
	[ "$failures" -eq 0 ] || finish
}
