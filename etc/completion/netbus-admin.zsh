#compdef netbus-admin
# SPDX-License-Identifier: Apache-2.0
#
# Completion of netbus-admin for zsh: install it as _netbus-admin in a directory of $fpath. tests/golden/completion.test holds this
# file against the program's own table of verbs.

_netbus_admin_globals=(
	'--json[answer as JSON]'
	'--quiet[say only what went wrong]'
	'--no-color[no colours]'
	'--dry-run[say what would be done, and do nothing]'
	'--yes[do not ask before something is ended]'
	'--reason[why; goes into the audit trail]:text:'
	'--timeout[how long to wait for an answer]:time:'
	'--root[an instance under another root]:directory:_files -/'
	'--socket[socket of the daemon]:socket:_files'
	'--help[what a verb takes]'
	'--version[version of netbus-admin]'
)

# Values of one field of a list of the running daemon: _netbus_admin_ask FIELD NOUN list
_netbus_admin_ask() {
	local field=$1
	shift
	local -a values
	values=(${(f)"$(netbus-admin --timeout 1s "$@" --json 2>/dev/null | sed -n "s/^ *\"$field\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" | sort -u)"})
	(( $#values )) && compadd -a values
}
_netbus_admin_vms() { _netbus_admin_ask vm grant list }
_netbus_admin_shares() { _netbus_admin_ask share share list }
_netbus_admin_hosts() { _netbus_admin_ask host host list }
_netbus_admin_grants() { _netbus_admin_ask id grant list }
_netbus_admin_bars() { _netbus_admin_ask id bar list }
_netbus_admin_leases() { _netbus_admin_ask lease lease list }
_netbus_admin_attached_vms() { _netbus_admin_ask vm attachment list }
_netbus_admin_attached_shares() { _netbus_admin_ask share attachment list }

_netbus_admin_verb() {
	local -a mine
	case $1 in
	'top') mine=('--interval:time:' '--once[one interval]' '--sort:order:(iops bandwidth latency)') ;;
	'events') mine=('--follow[wait for more]' '--since:cursor or time:' '--limit:number:') ;;
	'share show' | 'share enable' | 'share disable') mine=('1:share:_netbus_admin_shares') ;;
	'grant') mine=('1:VM:_netbus_admin_vms' '2:share:_netbus_admin_shares' '--mode:mode:(ro rw)' '--host:host:_netbus_admin_hosts' '--ttl:time:') ;;
	'grant list') mine=('--vm:VM:_netbus_admin_vms' '--share:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts') ;;
	'revoke') mine=('1:grant:_netbus_admin_grants' '--vm:VM:_netbus_admin_vms' '--share:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts'
		'--tenant:tenant:' '--lease:lease:_netbus_admin_leases' '--mode:mode:(hide soft drain hard)' '--deadline:time:' '--keep-grants[end leases only]') ;;
	'lease list') mine=('--vm:VM:_netbus_admin_vms' '--share:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts' '--tenant:tenant:' '--ended[ended ones too]') ;;
	'lease show') mine=('1:lease:_netbus_admin_leases' '--timers[what ends it, and when]') ;;
	'lease steal') mine=('1:lease:_netbus_admin_leases') ;;
	'bar list') mine=('--vm:VM:_netbus_admin_vms' '--share:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts') ;;
	'bar lift') mine=('1:bar:_netbus_admin_bars') ;;
	'attach') mine=('1:VM:' '2:share@host:' '--as:frontend:(nbd\: xen\:)' '--mode:mode:(ro rw)' '--lanes:number:' '--vm-uuid:UUID:' '--ticket:file:_files') ;;
	'detach') mine=('1:VM:_netbus_admin_attached_vms' '2:share:_netbus_admin_attached_shares') ;;
	'attachment list') mine=('--ended[ended ones too]') ;;
	'policy check' | 'policy test' | 'policy show') mine=('*:file:_files') ;;
	'policy explain') mine=('1:VM:_netbus_admin_vms' '2:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts'
		'--verb:verb:(list attach discard resize-see handover steal usb-control)' '--mode:mode:(ro rw)' '--at:time:') ;;
	'policy who-can') mine=('1:share:_netbus_admin_shares' '--verb:verb:(list attach discard resize-see handover steal usb-control)' '--mode:mode:(ro rw)') ;;
	'policy diff') mine=('1:directory:_files -/' '--vm:VM:_netbus_admin_vms' '--share:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts') ;;
	'policy replay') mine=('1:directory:_files -/' '--since:time:') ;;
	'policy reload') mine=('--expect-generation:generation:' '--confirm-within:time:') ;;
	'policy confirm') mine=('--expect-generation:generation:') ;;
	'host add') mine=('1:host:' '--address:address:') ;;
	'host list') mine=('--keys[keys that are denied]') ;;
	'host deny' | 'host allow') mine=('1:host:_netbus_admin_hosts' '--key:fingerprint:') ;;
	'ticket issue') mine=('1:VM:_netbus_admin_vms' '2:host:_netbus_admin_hosts' '--ttl:time:' '--not-before:time:' '--key:file:_files' '--trust-domain:name:') ;;
	'ticket show') mine=('1:ticket:_files' '--pub:file:_files') ;;
	'ticket key') mine=('1:what:(new)' '2:file:_files') ;;
	'audit tail') mine=('--lines:number:' '--follow[wait for more]' '--trail:file:_files') ;;
	'audit show') mine=('1:record:' '--event:event:' '--vm:VM:_netbus_admin_vms' '--share:share:_netbus_admin_shares' '--host:host:_netbus_admin_hosts' '--trail:file:_files') ;;
	'audit verify') mine=('--trail:file:_files' '--checkpoint:file:_files' '--no-checkpoint[the chain only]' '--public:file:_files') ;;
	'pki init') mine=('--trust-domain:name:' '--dir:directory:_files -/') ;;
	'pki issue') mine=('1:host:' '--dir:directory:_files -/' '--out:directory:_files -/' '--key-type:type:(ed25519 p256)' '--days:number:' '--force[replace what stands there]') ;;
	'pki token') mine=('1:host:' '--ttl:time:') ;;
	'pki withdraw') mine=('1:token:') ;;
	'pki rollover') mine=('1:step:(begin finish)' '--dir:directory:_files -/') ;;
	'pki show') mine=('*:file:_files') ;;
	'status' | 'doctor' | 'share list' | 'session list' | 'pki tokens' | 'pki renew') mine=() ;;
	esac
	_arguments -S $_netbus_admin_globals $mine
}

_netbus-admin() {
	local curcontext=$curcontext state line
	local -A verbs=(
		share 'list show enable disable'
		grant 'list'
		lease 'list show steal'
		bar 'list lift'
		session 'list'
		attachment 'list'
		policy 'check test explain show who-can diff replay reload confirm'
		host 'add list deny allow'
		ticket 'issue show key'
		audit 'tail show verify'
		pki 'init issue token tokens withdraw renew rollover show'
	)
	_arguments -C -S $_netbus_admin_globals '1:noun:(status doctor top events share grant revoke lease bar session attach detach attachment policy host ticket audit pki)' '*::verb:->rest'
	[[ $state == rest ]] || return
	local noun=$words[1]
	if [[ -n $verbs[$noun] ]] && (( CURRENT == 2 )); then
		compadd ${=verbs[$noun]}
		[[ $noun == grant ]] && _netbus_admin_vms
	elif [[ -n $verbs[$noun] && " $verbs[$noun] " == *" $words[2] "* ]]; then
		shift words
		(( CURRENT-- ))
		_netbus_admin_verb "$noun $words[1]"
	else
		_netbus_admin_verb $noun
	fi
}

_netbus-admin "$@"
