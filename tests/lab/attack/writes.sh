# shellcheck shell=bash disable=SC2154
# Hosts of the LAN and boards that make others write to their disks.

bytes_of() { # BOARD or coord: what its daemons have had written so far
	local f=$T/$1.pid p
	p=$(cat "$f")
	p=$(pgrep -P "$p" | head -1 || true)
	sed -n 's/^write_bytes: //p' "/proc/${p:-$(cat "$f")}/io"
}
records() { status a | python3 -c "import json,sys; print(json.load(sys.stdin)['log']['seq'])"; }

advertised() { # SECONDS LIMIT: in kB on any board
	local b before=() i=0 kb worst=0 n
	in_ns b sh -c 'echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra; echo 1 >/proc/sys/net/ipv6/conf/eth0/autoconf'
	for b in a b c coord; do before+=("$(bytes_of "$b")"); done
	did "a router advertisement of another prefix twice a second, for $1 s"
	n=$(ip netns exec "${N}sw" python3 "$HEARTH_SOURCE/tests/lab/lib/knock.py" advertise br0 "$1" 0.5)
	check "b took the addresses of some of $n" [ "$(in_ns b ip -6 -o addr show dev eth0 scope global | grep -c 2001:db8:bad)" -ge 5 ]
	for b in a b c coord; do
		kb=$((($(bytes_of "$b") - before[i]) / 1000))
		printf '          %s had %d kB written\n' "$b" "$kb"
		[ "$kb" -le "$worst" ] || worst=$kb
		i=$((i + 1))
	done
	tried=$((tried + 1))
	[ "$worst" -le "$2" ] && held=$((held + 1))
	check "no board wrote more than $2 kB" [ "$worst" -le "$2" ]
	did "it has ended" true
	in_ns b sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra'
	in_ns b sh -c 'ip -6 -o addr show dev eth0 scope global | sed -n "s/.*inet6 \(2001:db8:bad[^ ]*\).*/\1/p" | while read -r a; do ip -6 addr del "$a" dev eth0; done'
	right 10 "the mesh is whole" whole
}

scene advertisements "a LAN host gives a board a new address twice a second"
advertisements() { advertised 45 150; }

scene advertisements_hour "the same for an hour" long
advertisements_hour() { advertised 3600 200; }
