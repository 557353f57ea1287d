# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Completion of netbus-admin for bash. Names of shares, leases and hosts are asked of the running daemon, when it answers within a second.
# tests/golden/completion.test holds this file against the program's own table of verbs.

# verb -> its options; nouns and verbs come from the keys.
declare -gA _netbus_admin_verbs=(
	[status]=''
	[doctor]=''
	[top]='--interval --once --sort'
	[events]='--follow --since --limit'
	['share list']=''
	['share show']=''
	['share enable']=''
	['share disable']=''
	[grant]='--mode --host --ttl'
	['grant list']='--vm --share --host'
	[revoke]='--vm --share --host --tenant --lease --mode --deadline --keep-grants'
	['lease list']='--vm --share --host --tenant --ended'
	['lease show']='--timers'
	['lease steal']=''
	['bar list']='--vm --share --host'
	['bar lift']=''
	['session list']=''
	[attach]='--as --mode --lanes --vm-uuid --ticket'
	[detach]=''
	['attachment list']='--ended'
	['policy check']=''
	['policy test']=''
	['policy explain']='--host --verb --mode --at'
	['policy show']=''
	['policy who-can']='--verb --mode'
	['policy diff']='--vm --share --host'
	['policy replay']='--since'
	['policy reload']='--expect-generation --confirm-within'
	['policy confirm']='--expect-generation'
	['host add']='--address'
	['host list']='--keys'
	['host deny']='--key'
	['host allow']='--key'
	['ticket issue']='--ttl --not-before --key --trust-domain'
	['ticket show']='--pub'
	['ticket key']=''
	['audit tail']='--lines --follow --trail'
	['audit show']='--event --vm --share --host --trail'
	['audit verify']='--trail --checkpoint --no-checkpoint --public'
	['pki init']='--trust-domain --dir'
	['pki issue']='--dir --out --key-type --days --force'
	['pki token']='--ttl'
	['pki tokens']=''
	['pki withdraw']=''
	['pki renew']=''
	['pki rollover']='--dir'
	['pki show']=''
)
_netbus_admin_globals='--json --quiet --no-color --dry-run --yes --reason --timeout --root --socket --help --version'

# Values of one field of a list, such as "lease list" "vm".
_netbus_admin_ask() {
	local field=$2 list
	read -ra list <<<"$1"
	netbus-admin --timeout 1s "${_netbus_admin_where[@]}" "${list[@]}" --json 2>/dev/null | sed -n "s/^ *\"$field\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" | sort -u
}

# What may stand behind an option.
_netbus_admin_value() {
	case $1 in
	--mode) [ "$verb" = revoke ] && echo 'hide soft drain hard' || echo 'ro rw' ;;
	--verb) echo 'list attach discard resize-see handover steal usb-control' ;;
	--sort) echo 'iops bandwidth latency' ;;
	--key-type) echo 'ed25519 p256' ;;
	--vm) _netbus_admin_ask 'grant list' vm ;;
	--share) _netbus_admin_ask 'share list' share ;;
	--host) _netbus_admin_ask 'host list' host ;;
	--lease) _netbus_admin_ask 'lease list' lease ;;
	--as) echo 'nbd: xen:' ;;
	*) return 1 ;;
	esac
}

# What may stand as the operand at that place, from 0.
_netbus_admin_operand() {
	case "$verb/$1" in
	'share show/0' | 'share enable/0' | 'share disable/0' | 'grant/1' | 'policy explain/1' | 'policy who-can/0') _netbus_admin_ask 'share list' share ;;
	'grant/0' | 'policy explain/0' | 'ticket issue/0') _netbus_admin_ask 'grant list' vm ;;
	'revoke/0') _netbus_admin_ask 'grant list' id ;;
	'lease show/0') _netbus_admin_ask 'lease list --ended' lease ;;
	'lease steal/0') _netbus_admin_ask 'lease list' lease ;;
	'bar lift/0') _netbus_admin_ask 'bar list' id ;;
	'detach/0') _netbus_admin_ask 'attachment list' vm ;;
	'detach/1') _netbus_admin_ask 'attachment list' share ;;
	'ticket key/0') echo new ;;
	'host deny/0' | 'host allow/0' | 'ticket issue/1') _netbus_admin_ask 'host list' host ;;
	'pki withdraw/0') _netbus_admin_ask 'pki tokens' id ;;
	'pki rollover/0') mapfile -t COMPREPLY < <(compgen -W 'begin finish' -- "$cur") ;;
	esac
}

_netbus_admin() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word key verb='' operands=0 i
	local -a words=() _netbus_admin_where=()
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--root | --socket) _netbus_admin_where+=("$word" "${COMP_WORDS[++i]}") ;;
		--json | --quiet | --no-color | --dry-run | --yes | --help | --version | --keep-grants | --ended | --timers | --follow | --once | --force | --no-checkpoint | --keys) ;;
		--*=*) ;;
		--*) ((i++)) ;;
		*) words+=("$word") ;;
		esac
	done
	if [ ${#words[@]} -ge 2 ] && [ -n "${_netbus_admin_verbs["${words[0]} ${words[1]}"]+x}" ]; then
		verb="${words[0]} ${words[1]}" operands=$((${#words[@]} - 2))
	elif [ ${#words[@]} -ge 1 ] && [ -n "${_netbus_admin_verbs["${words[0]}"]+x}" ]; then
		verb=${words[0]} operands=$((${#words[@]} - 1))
	fi

	case $prev in
	--root | --dir | --out) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--socket | --trail | --checkpoint | --public | --ticket | --key | --pub) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--reason | --timeout | --ttl | --not-before | --deadline | --at | --address | --lanes | --vm-uuid | --tenant | --trust-domain | --days | --lines | --event | --since | --limit | --interval) return ;;
	--*)
		if word=$(_netbus_admin_value "$prev"); then
			mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
			return
		fi
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_netbus_admin_globals ${_netbus_admin_verbs[${verb:-status}]}" -- "$cur")
		return
	fi
	case $verb in
	'policy check' | 'policy test' | 'policy show' | 'policy diff' | 'policy replay' | 'pki show' | 'ticket show') mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	esac
	word=''
	if [ ${#words[@]} -eq 0 ]; then
		for key in "${!_netbus_admin_verbs[@]}"; do word+=" ${key%% *}"; done
	elif [ ${#words[@]} -eq 1 ]; then
		for key in "${!_netbus_admin_verbs[@]}"; do [[ $key == "${words[0]} "* ]] && word+=" ${key#* }"; done
	fi
	[ -z "$verb" ] || word+=" $(_netbus_admin_operand "$operands")"
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur" | sort -u)
}
complete -F _netbus_admin netbus-admin
