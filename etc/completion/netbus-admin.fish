# SPDX-License-Identifier: Apache-2.0
#
# Completion of netbus-admin for fish. tests/golden/completion.test holds this file against the program's own table of verbs.

# True when these words are the verb on the line.
function __netbus_admin_verb
	set -l words (commandline -opc | string match -v -- '-*')
	set -e words[1]
	test (count $words) -ge (count $argv); and test "$words[1..(count $argv)]" = "$argv"
end
# True when only the noun stands there.
function __netbus_admin_noun
	set -l words (commandline -opc | string match -v -- '-*')
	test (count $words) -eq 2; and test "$words[2]" = "$argv[1]"
end
function __netbus_admin_nothing
	set -l words (commandline -opc | string match -v -- '-*')
	test (count $words) -eq 1
end
# __netbus_admin_ask FIELD NOUN list: values of a field of a list of the running daemon.
function __netbus_admin_ask
	netbus-admin --timeout 1s $argv[2..-1] --json 2>/dev/null | string replace -rf '^ *"'$argv[1]'": "?([^",]*)"?,?$' '$1' | sort -u
end

complete -c netbus-admin -f
complete -c netbus-admin -l json -d 'answer as JSON'
complete -c netbus-admin -l quiet -d 'say only what went wrong'
complete -c netbus-admin -l no-color -d 'no colours'
complete -c netbus-admin -l dry-run -d 'say what would be done, and do nothing'
complete -c netbus-admin -l yes -d 'do not ask before something is ended'
complete -c netbus-admin -l reason -x -d 'why; goes into the audit trail'
complete -c netbus-admin -l timeout -x -d 'how long to wait for an answer'
complete -c netbus-admin -l root -r -a '(__fish_complete_directories)' -d 'an instance under another root'
complete -c netbus-admin -l socket -r -F -d 'socket of the daemon'
complete -c netbus-admin -l help -d 'what a verb takes'
complete -c netbus-admin -l version -d 'version of netbus-admin'

complete -c netbus-admin -n __netbus_admin_nothing -a 'status doctor top events share grant revoke lease bar session attach detach attachment policy host ticket audit pki'
complete -c netbus-admin -n '__netbus_admin_noun share' -a 'list show enable disable'
complete -c netbus-admin -n '__netbus_admin_noun grant' -a 'list'
complete -c netbus-admin -n '__netbus_admin_noun lease' -a 'list show steal'
complete -c netbus-admin -n '__netbus_admin_noun bar' -a 'list lift'
complete -c netbus-admin -n '__netbus_admin_noun session' -a 'list'
complete -c netbus-admin -n '__netbus_admin_noun attachment' -a 'list'
complete -c netbus-admin -n '__netbus_admin_noun policy' -a 'check test explain show who-can diff replay reload confirm'
complete -c netbus-admin -n '__netbus_admin_noun host' -a 'add list deny allow'
complete -c netbus-admin -n '__netbus_admin_noun ticket' -a 'issue show key'
complete -c netbus-admin -n '__netbus_admin_noun audit' -a 'tail show verify'
complete -c netbus-admin -n '__netbus_admin_noun pki' -a 'init issue token tokens withdraw renew rollover show'

# Operands.
for verb in 'share show' 'share enable' 'share disable'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -a '(__netbus_admin_ask share share list)'
end
complete -c netbus-admin -n '__netbus_admin_verb grant; and not __netbus_admin_verb grant list' -a '(__netbus_admin_ask vm grant list) (__netbus_admin_ask share share list)'
complete -c netbus-admin -n '__netbus_admin_verb revoke' -a '(__netbus_admin_ask id grant list)'
for verb in 'lease show' 'lease steal'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -a '(__netbus_admin_ask lease lease list)'
end
complete -c netbus-admin -n '__netbus_admin_verb bar lift' -a '(__netbus_admin_ask id bar list)'
complete -c netbus-admin -n '__netbus_admin_verb detach' -a '(__netbus_admin_ask vm attachment list) (__netbus_admin_ask share attachment list)'
complete -c netbus-admin -n '__netbus_admin_verb policy explain' -a '(__netbus_admin_ask vm grant list) (__netbus_admin_ask share share list)'
complete -c netbus-admin -n '__netbus_admin_verb policy who-can' -a '(__netbus_admin_ask share share list)'
for verb in 'policy check' 'policy test' 'policy show' 'policy diff' 'policy replay' 'pki show' 'ticket show'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -F
end
complete -c netbus-admin -n '__netbus_admin_verb ticket issue' -a '(__netbus_admin_ask vm grant list) (__netbus_admin_ask host host list)'
complete -c netbus-admin -n '__netbus_admin_verb ticket key' -a 'new' -F
for verb in 'host deny' 'host allow'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -a '(__netbus_admin_ask host host list)'
end

# Options.
complete -c netbus-admin -n '__netbus_admin_verb grant; and not __netbus_admin_verb grant list' -l mode -x -a 'ro rw'
for verb in 'revoke' 'attach' 'policy explain' 'policy who-can'
	set -l modes 'ro rw'
	test $verb = revoke; and set modes 'hide soft drain hard'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l mode -x -a $modes
end
for verb in 'grant' 'revoke' 'lease list' 'bar list' 'policy explain' 'policy diff' 'audit show'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l host -x -a '(__netbus_admin_ask host host list)'
end
for verb in 'grant list' 'revoke' 'lease list' 'bar list' 'policy diff' 'audit show'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l vm -x -a '(__netbus_admin_ask vm grant list)'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l share -x -a '(__netbus_admin_ask share share list)'
end
for verb in 'revoke' 'lease list'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l tenant -x
end
for verb in 'lease list' 'attachment list'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l ended -d 'ended ones too'
end
complete -c netbus-admin -n '__netbus_admin_verb grant; and not __netbus_admin_verb grant list' -l ttl -x -d 'how long it holds'
complete -c netbus-admin -n '__netbus_admin_verb revoke' -l lease -x -a '(__netbus_admin_ask lease lease list)'
complete -c netbus-admin -n '__netbus_admin_verb revoke' -l deadline -x
complete -c netbus-admin -n '__netbus_admin_verb lease show' -l timers -d 'what ends it, and when'
complete -c netbus-admin -n '__netbus_admin_verb revoke' -l keep-grants -d 'end leases only'
complete -c netbus-admin -n '__netbus_admin_verb attach' -l as -x -a 'nbd: xen:'
complete -c netbus-admin -n '__netbus_admin_verb attach' -l lanes -x
complete -c netbus-admin -n '__netbus_admin_verb attach' -l vm-uuid -x
complete -c netbus-admin -n '__netbus_admin_verb attach' -l ticket -r -F -d 'a placement ticket'
complete -c netbus-admin -n '__netbus_admin_verb ticket issue' -l ttl -x -d 'how long it holds'
complete -c netbus-admin -n '__netbus_admin_verb ticket issue' -l not-before -x -d 'from when on it holds'
complete -c netbus-admin -n '__netbus_admin_verb ticket issue' -l key -r -F -d 'the secret key that signs'
complete -c netbus-admin -n '__netbus_admin_verb ticket issue' -l trust-domain -x
complete -c netbus-admin -n '__netbus_admin_verb ticket show' -l pub -r -F -d 'the public key that it is held against'
complete -c netbus-admin -n '__netbus_admin_verb policy explain' -l verb -x -a 'list attach discard resize-see handover steal usb-control'
for verb in 'policy explain' 'policy who-can'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l verb -x -a 'list attach discard resize-see handover steal usb-control'
end
complete -c netbus-admin -n '__netbus_admin_verb policy replay' -l since -x -d 'a time, or how long ago'
for verb in 'policy reload' 'policy confirm'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l expect-generation -x
end
complete -c netbus-admin -n '__netbus_admin_verb policy reload' -l confirm-within -x -d 'else it is rolled back'
complete -c netbus-admin -n '__netbus_admin_verb policy explain' -l at -x
complete -c netbus-admin -n '__netbus_admin_verb host add' -l address -x
for verb in 'audit tail' 'audit show' 'audit verify'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l trail -r -F
end
complete -c netbus-admin -n '__netbus_admin_verb audit tail' -l lines -x
for verb in 'events' 'audit tail'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l follow -d 'wait for more'
end
complete -c netbus-admin -n '__netbus_admin_verb top' -l interval -x
complete -c netbus-admin -n '__netbus_admin_verb top' -l once -d 'one interval'
complete -c netbus-admin -n '__netbus_admin_verb top' -l sort -x -a 'iops bandwidth latency'
complete -c netbus-admin -n '__netbus_admin_verb events' -l since -x -d 'a cursor or a time'
complete -c netbus-admin -n '__netbus_admin_verb events' -l limit -x
complete -c netbus-admin -n '__netbus_admin_verb audit show' -l event -x
complete -c netbus-admin -n '__netbus_admin_verb audit verify' -l checkpoint -r -F
complete -c netbus-admin -n '__netbus_admin_verb audit verify' -l no-checkpoint -d 'the chain only'
complete -c netbus-admin -n '__netbus_admin_verb audit verify' -l public -r -F
complete -c netbus-admin -n '__netbus_admin_verb pki init' -l trust-domain -x
complete -c netbus-admin -n '__netbus_admin_verb host list' -l keys
for verb in 'host deny' 'host allow'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l key -x
end
complete -c netbus-admin -n '__netbus_admin_verb pki token' -l ttl -x
complete -c netbus-admin -n '__netbus_admin_verb pki withdraw' -a '(__netbus_admin_ask id pki tokens)'
complete -c netbus-admin -n '__netbus_admin_verb pki rollover' -a 'begin finish'
for verb in 'pki init' 'pki issue' 'pki rollover'
	complete -c netbus-admin -n "__netbus_admin_verb $verb" -l dir -r -a '(__fish_complete_directories)'
end
complete -c netbus-admin -n '__netbus_admin_verb pki issue' -l out -r -a '(__fish_complete_directories)'
complete -c netbus-admin -n '__netbus_admin_verb pki issue' -l key-type -x -a 'ed25519 p256'
complete -c netbus-admin -n '__netbus_admin_verb pki issue' -l days -x
complete -c netbus-admin -n '__netbus_admin_verb pki issue' -l force
