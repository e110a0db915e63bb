# shellcheck shell=bash disable=SC2034,SC2154
# What the plugin is called with, and what it answers: refusals by the specification's codes.

scene variables "variables: missing, malformed, of no command"
variables() {
	local v verb vars
	for verb in ADD CHECK DEL GC STATUS; do
		for v in CNI_CONTAINERID CNI_NETNS CNI_IFNAME; do
			vars=(CNI_CONTAINERID=c1 "CNI_NETNS=/run/netns/$id-nowhere" CNI_IFNAME=eth0)
			IN=$(conf)
			call $verb "${vars[@]}" $v=
			case $verb.$v in
			ADD.* | CHECK.* | DEL.CNI_CONTAINERID | DEL.CNI_IFNAME) refused 4 "$verb without $v"; says $v ;;
			*) silent "$verb without $v" ;;
			esac
		done
	done
	IN=$(conf) call ADD; refused 4 "ADD without anything"; says CNI_CONTAINERID; says CNI_NETNS; says CNI_IFNAME
	IN=$(conf) call "" CNI_CONTAINERID=c1 CNI_NETNS=/n CNI_IFNAME=eth0; refused 4 "no command"; says CNI_COMMAND
	for v in 0.4.0 1.0.0 1.1.0; do IN=$(V=$v conf) call FROB; refused 4 "unknown command"; done
	mkfifo "$HEARTH_TMP/open"	# nobody sends a configuration, nobody closes it
	exec 8<>"$HEARTH_TMP/open"
	OUT=$(timeout 20 env CNI_COMMAND=FROB "$plugin" <&8 2>/dev/null); RC=$?
	exec 8>&-
	rm "$HEARTH_TMP/open"
	refused 4 "unknown command, and no configuration comes"
	OUT=$(env -i "$plugin" 2>"$HEARTH_TMP/stderr" </dev/null) || die "alone: status $?"
	[ -z "$OUT" ] || die "alone: printed on stdout"
	grep -q 1.1.0 "$HEARTH_TMP/stderr" || die "alone: no versions on stderr"
	for v in 'CNI_CONTAINERID=../etc' 'CNI_CONTAINERID=-' 'CNI_CONTAINERID=a b' "CNI_CONTAINERID=$(printf 'a%.0s' {1..300})" \
		CNI_IFNAME=. CNI_IFNAME=.. CNI_IFNAME=a/b CNI_IFNAME=a:b 'CNI_IFNAME=a b' CNI_IFNAME=sixteen-letters- \
		CNI_ARGS=nonsense CNI_ARGS=IP=x CNI_NETNS=/etc/passwd CNI_NETNS=/ CNI_NETNS=/proc/self/ns/mnt; do
		IN=$(conf)
		call ADD CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/$id-a CNI_IFNAME=eth0 "$v"
		refused 4 "ADD with $v"
	done
	IN=$(conf) call ADD CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/$id-nowhere CNI_IFNAME=eth0; refused 3 "a namespace that is gone"
	IN=$(conf) call ADD CNI_CONTAINERID=c1 CNI_NETNS=/proc/self/ns/net CNI_IFNAME=eth0; refused 8 "its own namespace"
	IN=$(conf) call CHECK CNI_CONTAINERID=c1 CNI_NETNS=/proc/self/ns/net CNI_IFNAME=eth0; refused 7 "CHECK without prevResult"
}

scene input "the configuration on its standard input, and versions"
input() {
	local v verb all=(CNI_CONTAINERID=c1 "CNI_NETNS=/run/netns/$id-a" CNI_IFNAME=eth0)
	for verb in ADD CHECK DEL GC STATUS; do
		on $host env CNI_COMMAND=$verb "${all[@]}" "$plugin" <&- >"$HEARTH_TMP/out" 2>"$HEARTH_TMP/stderr"
		RC=$? OUT=$(<"$HEARTH_TMP/out"); refused 5 "$verb with closed stdin"
		IN='' call $verb "${all[@]}"; refused 6 "$verb with empty stdin"
		IN='{"cniVersion":"1.1.0","name":"hearth"' call $verb "${all[@]}"; refused 6 "$verb with half a document"
		IN='nonsense' call $verb "${all[@]}"; refused 6 "$verb with no JSON"
		IN=$(printf '[%.0s' {1..5000}) call $verb "${all[@]}"; refused 6 "$verb with deep JSON"
		IN='{"name":"hearth"}' call $verb "${all[@]}"; refused 1 "$verb without cniVersion"
		IN='{"cniVersion":"garbage","name":"hearth"}' call $verb "${all[@]}"; refused 6 "$verb with garbage version"
		IN='{"cniVersion":"0.2.0","name":"hearth"}' call $verb "${all[@]}"; refused 1 "$verb with 0.2.0"
		IN='{"cniVersion":"1.1.0"}' call $verb "${all[@]}"; refused 7 "$verb without name"
		IN='{"cniVersion":"1.1.0","name":"../x"}' call $verb "${all[@]}"; refused 7 "$verb with a bad name"
	done
	for verb in GC STATUS; do
		V=1.0.0 IN='{"cniVersion":"1.0.0","name":"hearth"}' call $verb; refused 1 "$verb in 1.0.0"
	done
	IN='{"cniVersion":"1.1.0","name":"hearth"}' call ADD "${all[@]}"; refused 7 "ADD without subnets"
	V=1.1.0 cni ADD c1 a ',"runtimeConfig":{"portMappings":[{"HostPort":80,"ContainerPort":80}]}'; refused 2 "port mappings"; says portMappings; says HostPort
	cni ADD c1 a ',"dns":7'; refused 7 "a malformed dns"
	for v in 0.4.0 1.0.0 1.1.0; do
		IN="{\"cniVersion\":\"$v\"}" call VERSION; works VERSION
		[ "$(jq -c . <<<"$OUT")" = "{\"cniVersion\":\"$v\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\",\"1.1.0\"]}" ] || die "VERSION: $OUT"
	done
	on $host env CNI_COMMAND=VERSION "$plugin" <&- | jq -e .supportedVersions >/dev/null || die "VERSION with closed stdin"
	IN='{' call VERSION; refused 6 "VERSION with half a document"
	clean "after all refused calls"
}

scene unread "nobody reads the result: then nothing stays"
unread() {
	local all=(CNI_CONTAINERID=c1 "CNI_NETNS=/run/netns/$id-a" CNI_IFNAME=eth0)
	on $host env CNI_COMMAND=ADD "${all[@]}" "$plugin" <<<"$(conf)" >&- 2>/dev/null && die "ADD with closed stdout succeeded"
	on $host env CNI_COMMAND=ADD "${all[@]}" "$plugin" <<<"$(conf)" >/dev/full 2>/dev/null && die "ADD into a full file succeeded"
	clean "after all refused calls"
}
