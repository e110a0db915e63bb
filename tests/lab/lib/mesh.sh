# shellcheck shell=bash
# Hearth on the boards: the built programs as a layer of their own, a coordinator on n100, and
# every board enrolled through enroll-node with a token of its own.

# A rebuild needs no new image: what `cmake --install` puts somewhere is an overlay layer.
mesh_install_programs() {
	[ -e "$S/programs" ] && return 0
	[ -e "$BUILD/CMakeCache.txt" ] || die "nothing is built in $BUILD; HEARTH_BUILD names another build tree"
	rm -rf "$S/programs.new"
	DESTDIR=$S/programs.new cmake --install "$BUILD" --prefix /usr >"$S/install.log" 2>&1 ||
		{ tail -5 "$S/install.log" >&2; die "cmake --install failed"; }
	mkdir -p "$S/programs.new/usr/share/hearth"
	cp -r "$SOURCE/manifests" "$S/programs.new/usr/share/hearth/"
	image_starts_programs "$S/programs.new"
	mv "$S/programs.new" "$S/programs"
}

mesh_enrolled() { [ -e "$(board_root "$1")/etc/hearth/hearthd.yaml" ]; }

mesh_facts() { # BOARD: what enroll-node would read from the hardware
	mkdir -p "$(board_root "$1")/etc/hearth"
	cp "$SOURCE/tests/lab/facts/$1.json" "$(board_root "$1")/etc/hearth/facts.json"
}

coordinator_answers() { board_exec n100 hearth token list; }

mesh_coordinator() {
	board_exec n100 hearth-coord init --if-needed >"$S/coord-init.log" 2>&1 || { cat "$S/coord-init.log" >&2; die "hearth-coord init failed"; }
	board_exec n100 systemctl -q enable --now hearth-coord.service ||
		{ board_exec n100 journalctl -q --no-pager -u hearth-coord -n 20 >&2; die "the coordinator did not start"; }
	until_ok 30 coordinator_answers || { coordinator_answers >&2 || :; die "the coordinator does not answer"; }
}

mesh_enroll_one() { # BOARD
	local b=$1 token
	mesh_enrolled "$b" && return 0
	mesh_facts "$b"
	token=$(board_exec n100 hearth token create --role "${ROLE[$b]}" --name "$b" 2>/dev/null) || die "no token for $b"
	board_exec "$b" enroll-node >"$S/enroll-$b.log" 2>&1 <<<"$token" ||
		{ sed "s/^/$b: /" "$S/enroll-$b.log" >&2; die "enroll-node on $b failed, see $S/enroll-$b.log"; }
}
# The control plane first, as a person would: it becomes number 1. It waits for nobody, there is nobody yet.
mesh_enroll() {
	local b others=()
	for b; do if [ "$b" = n100 ]; then mesh_enroll_one n100; else others+=("$b"); fi; done
	[ ${#others[@]} -eq 0 ] || on_each mesh_enroll_one "${others[@]}"
}

# One line per node: name, mesh IPv4, mesh IPv6, pods IPv4, pods IPv6 ("-" for members).
mesh_table() {
	board_exec n100 hearth node list --json | python3 -c '
import json, sys
for n in json.load(sys.stdin)["nodes"]:
    print(n["name"], n["mesh4"], n["mesh6"], n.get("pods4") or "-", n.get("pods6") or "-")'
}
mesh_table_keep() { mesh_table >"$S/table.new" && [ "$(wc -l <"$S/table.new")" -ge ${#ALL[@]} ] && mv "$S/table.new" "$S/table"; }
mesh_address() { awk -v n="$1" -v f="$2" '$1 == n { print $(f == 4 ? 2 : 3) }' "$S/table"; } # BOARD 4|6
mesh_pod_ranges() { awk -v n="$1" '$1 == n { print $4, $5 }' "$S/table"; }

# Every board given pings every other one given, over IPv4 and IPv6; prints the pairs that fail.
mesh_ping_from() { # BOARD TO...: true if it could ask, and all answered
	local b=$1 n a list=
	shift
	for n; do
		[ "$n" = "$b" ] || for a in 4 6; do list="$list $n/$(mesh_address "$n" $a)"; done
	done
	[ -n "$list" ] || { echo "$b has nobody to ask"; return 1; }
	# shellcheck disable=SC2016
	board_exec "$b" sh -c 'for t in $1; do
			{ ping -n -q -c 1 -W "$2" "${t#*/}" >/dev/null 2>&1 || { echo "$3 does not reach ${t%%/*} at ${t#*/}"; exit 1; }; } &
			asked="$asked $!"
		done
		for p in $asked; do wait "$p" || bad=1; done
		exit "${bad:-0}"' sh "$list" "${PING_WAIT:-3}" "$b"
}
mesh_pings() { # BOARD...: true if all of them answer each other
	local b p bad=0 pids=()
	for b; do mesh_ping_from "$b" "$@" & pids+=($!); done
	for p in "${pids[@]}"; do wait "$p" || bad=1; done
	[ ${#pids[@]} -gt 0 ] && [ $bad -eq 0 ]
}

# When the board has reached all the others at both addresses: seconds since the machine started.
mesh_reached_from() { # BOARD TO...
	local b=$1 n list=
	shift
	for n; do [ "$n" = "$b" ] || list="$list $(mesh_address "$n" 4) $(mesh_address "$n" 6)"; done
	# shellcheck disable=SC2016
	board_exec "$b" sh -c 'for a in $1; do
			{ until ping -n -q -c 1 -W 0.3 "$a" >/dev/null 2>&1; do sleep 0.2; done; } &
		done; wait; cut -d" " -f1 /proc/uptime' sh "$list"
}

mesh_wait() { # BOARD...: until everybody reaches everybody
	until_ok 40 mesh_table_keep || die "n100 does not know all the others: $(mesh_table | cut -d' ' -f1 | paste -sd' ')"
	PING_WAIT=1 until_ok 60 mesh_pings "$@" || { mesh_pings "$@" >&2; die "the mesh is not whole"; }
}
