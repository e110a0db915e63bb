# shellcheck shell=bash disable=SC2154
# A board leaves. The last one: it comes back under another number and other addresses.

scene removed "a board is removed"
removed() {
	env_of a "$B/hearth" node remove c >/dev/null 2>&1
	check "the others drop a removed board" until_ok 5 says a "not any(p['name']=='c' for p in s['peers'])"
	# If its connection to the coordinator went through the tunnel, it ends with that; another is made when TCP has given it up.
	check "it says that it was removed, and takes the interface down" until_ok 60 says c "s['state']=='removed'"
	check "names and routes are gone" until_ok 5 sh -c "cmp $T/c/hosts $T/c/hosts.old && ! ip -n ${N}c route | grep -q hearth0"
	stop c
	rm -r "$T/c/etc" "$T/c/state"
	enrol c member
	start c
	check "enrolled anew, it is of the mesh again" mesh_whole 10
}
