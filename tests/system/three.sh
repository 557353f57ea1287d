# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Three hosts for tests in which a share changes hands: m1 and m2 attach, m3 exports acme/disk-1 (a file, $W/disk-1.img, of DISK_SIZE) with a lease_ttl of
# 3 s. acme/web-1 lives on m1, acme/web-2 on m2. To be sourced after lib.sh.
#
#   three_hosts                 makes and starts them
#   know_exporter               tells m1 and m2 where m3 listens (it changes with each start)
#   take HOST VM [ARGS...]      grants the share to the VM and attaches it; sets SOCK, which uri() speaks of
#   give_back HOST VM           detaches

three_hosts() {
	[ -n "$W" ] || world_begin
	truncate -s "${DISK_SIZE:-1M}" "$W/disk-1.img"
	host_make m1 </dev/null
	host_make m2 </dev/null
	host_make m3 <<-YAML
		lease_ttl: 3s
		shares:
		  acme/disk-1: {path: $W/disk-1.img}
		${EXTRA_YAML:-}
	YAML
	host_policy m3 10-test.yaml <<-'YAML'
		version: 1
		tenant: acme
		rules:
		  - {id: acme-disks, allow: [attach, discard], hosts: [m1, m2], vms: "*", shares: "*", mode: rw}
	YAML
	host_up m3 && host_up m1 && host_up m2 && know_exporter
}

know_exporter() {
	admin m1 host add m3 --address "127.0.0.1:${HOST_PORT[m3]}" >/dev/null && admin m2 host add m3 --address "127.0.0.1:${HOST_PORT[m3]}" >/dev/null
}

grant() {
	admin m3 grant "$1" acme/disk-1 --mode rw >/dev/null
}

attach_at() {
	local host=$1 vm=$2
	shift 2
	SOCK=$(root_of "$host")/run/netbus/nbd/$(basename "$vm").sock
	admin "$host" attach "$vm" acme/disk-1@m3 --as "nbd:$(basename "$vm").sock" "$@"
}

uri() {
	echo "nbd+unix:///?socket=$SOCK"
}

take() {
	grant "$2" && attach_at "$@"
}

give_back() {
	admin "$1" detach "$2" acme/disk-1 >/dev/null
}
