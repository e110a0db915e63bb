# shellcheck shell=bash disable=SC2034,SC2154
# Calls that fail, many at once, and killed ones: nothing stays of them.

scene undo "an ADD that fails leaves nothing; chained as second"
undo() {
	cni ADD ca a ',"prevResult":{"interfaces":7}'; refused 6 "a malformed prevResult"; clean "malformed prevResult"
	on $id-a ip link add eth0 type veth peer name other0	# the name is taken
	cni ADD ca a; refused 102 "eth0 is taken"; clean "name taken"
	on $id-a ip link del eth0
	IF=lo cni ADD ca a; refused 102 "lo is taken"; clean "lo taken"
	cni ADD ca a ',"prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"before0"}],"ips":[{"address":"192.0.2.2/24","interface":0}],"dns":{"domain":"x"}}'
	works "ADD as second"
	[ "$(jq -r '[.interfaces[].name] | first, last' <<<"$OUT" | xargs)" = "before0 eth0" ] || die "interfaces"
	[ "$(jq -r '.ips[0].address, .ips[1].interface, .dns.domain' <<<"$OUT" | xargs)" = "192.0.2.2/24 2 x" ] || die "ips"
	cni CHECK ca a ",\"prevResult\":$OUT"; silent "CHECK as second"
	cni DEL ca a; silent DEL
	cni ADD ca a ',"dns":{"nameservers":["10.96.0.10"]}'; works "dns"
	[ "$(jq -r '.dns.nameservers[0]' <<<"$OUT")" = 10.96.0.10 ] || die dns
	cni DEL ca a; clean chained
}

scene crowd "50 ADDs at once"
crowd() {
	local i t0 t1 n=50
	for i in $(seq $n); do pod p$i; done
	conf >"$HEARTH_TMP/conf"
	t0=$(date +%s%N)
	for i in $(seq $n); do
		on $host env CNI_COMMAND=ADD CNI_CONTAINERID=p$i CNI_NETNS=/run/netns/$id-p$i CNI_IFNAME=eth0 \
			"$plugin" <"$HEARTH_TMP/conf" >"$HEARTH_TMP/add.$i" 2>"$HEARTH_TMP/err.$i" &
	done
	wait
	t1=$(date +%s%N)
	for i in $(seq $n); do jq -e '.ips | length == 2' "$HEARTH_TMP/add.$i" >/dev/null || die "ADD $i: $(cat "$HEARTH_TMP/add.$i" "$HEARTH_TMP/err.$i")"; done
	[ "$(cat "$HEARTH_TMP"/add.* | jq -r '.ips[].address' | sort -u | wc -l)" = $((2 * n)) ] || die "an address was given out twice"
	[ "$(files "$leases" | grep -c '^10\.')" = $n ] || die "leases: $(ls "$leases")"
	echo "   $n ADDs: $(((t1 - t0) / 1000000)) ms"
	reaches p1 "$(jq -r '.ips[0].address | sub("/.*"; "")' "$HEARTH_TMP/add.$n")"
	reaches p1 "$(jq -r '.ips[1].address | sub("/.*"; "")' "$HEARTH_TMP/add.$n")"
	t0=$(date +%s%N)
	for i in $(seq $n); do
		on $host env CNI_COMMAND=DEL CNI_CONTAINERID=p$i CNI_NETNS= CNI_IFNAME=eth0 "$plugin" <"$HEARTH_TMP/conf" >"$HEARTH_TMP/add.$i" 2>&1 &
	done
	wait
	t1=$(date +%s%N)
	echo "   $n DELs: $(((t1 - t0) / 1000000)) ms"
	[ -z "$(cat "$HEARTH_TMP"/add.*)" ] || die "DEL said: $(cat "$HEARTH_TMP"/add.*)"
	clean crowd
	for i in $(seq $n); do ip netns del $id-p$i; done
}

as() { # VERB COMMAND...: of the victim, by the configuration in conf
	on $host env CNI_COMMAND="$1" CNI_CONTAINERID=victim CNI_NETNS=/run/netns/$id-a CNI_IFNAME=eth0 "${@:2}" <"$HEARTH_TMP/conf"
}

scene killing "kill -9 at every system call, then DEL"
killing() {
	local n status
	conf >"$HEARTH_TMP/conf"
	for ((n = 1; ; n++)); do
		as ADD "$kill_at" $n "$plugin" >/dev/null 2>&1
		status=$?
		as DEL "$plugin" >"$HEARTH_TMP/out" 2>&1 || die "DEL after a kill at $n: $(<"$HEARTH_TMP/out")"
		clean "ADD killed at system call $n"
		! on $id-a ip link show eth0 >/dev/null 2>&1 || die "eth0 after a kill at $n"
		[ $status = 137 ] || break
		[ $n -lt 2000 ] || die "it never ends"
	done
	[ $status = 0 ] || die "the last ADD ended with $status"
	[ $n -gt 50 ] || die "ADD was killed at $((n - 1)) moments only: it makes many more system calls"
	echo "   ADD: $((n - 1)) moments"
	for ((n = 1; ; n++)); do
		as ADD "$plugin" >"$HEARTH_TMP/out" 2>&1 || die "ADD before the kill of DEL at $n: $(<"$HEARTH_TMP/out")"
		as DEL "$kill_at" $n "$plugin" >/dev/null 2>&1
		status=$?
		as DEL "$plugin" >"$HEARTH_TMP/out" 2>&1 || die "second DEL after a kill at $n: $(<"$HEARTH_TMP/out")"
		clean "DEL killed at system call $n"
		[ $status = 137 ] || break
	done
	[ $status = 0 ] || die "the last DEL ended with $status"
	[ $n -gt 20 ] || die "DEL was killed at $((n - 1)) moments only"
	echo "   DEL: $((n - 1)) moments"
}

scene random_kills "kill -9 at random moments, an ADD in between without DEL"
random_kills() {
	local n
	conf >"$HEARTH_TMP/conf"
	for n in $(seq 30); do
		as ADD timeout -s KILL "0.00$((RANDOM % 9 + 1))" "$plugin" >"$HEARTH_TMP/out" 2>&1
		as ADD "$plugin" >"$HEARTH_TMP/out2" 2>&1 || grep -q '"code":102' "$HEARTH_TMP/out2" || die "ADD after a killed ADD: $(<"$HEARTH_TMP/out2")"
		as DEL "$plugin" >"$HEARTH_TMP/out" 2>&1 || die "DEL: $(<"$HEARTH_TMP/out")"
		clean "random kill $n"
	done
}
