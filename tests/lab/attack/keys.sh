# shellcheck shell=bash disable=SC2016,SC2154
# Keys in core files, in what is swapped to a disk, and in another process's hands.

dumps() { # READY COMMAND...: it ends by SIGSEGV, with nothing that limits core files
	rm -rf "$R/cores" && mkdir -m 777 "$R/cores"
	python3 -ISE "$ATTACKER" dumps "$R/cores" "$@"
}
# All that is mapped is locked: so nothing of it is ever swapped.
is_locked() { awk '/^VmLck/ { locked = $2 } /^VmRSS/ { used = $2 } END { print locked " of " used; exit !(locked >= used && used) }' "/proc/$1/status"; }

scene core_files "a crash leaves the daemons' keys in a core file"
core_files() {
	R=$T/dumps
	mkdir -p "$R"/{etc,run,wg}
	chmod 755 "$R"
	cp "$T/c/etc/hearthd.yaml" "$R/etc/" && cp -r "$T/c/state" "$R/state"
	cp -r "$T/coord" "$R/coord"
	if dumps "true" sleep 60 >/dev/null 2>&1; then
		echo "NOT CHECKED: nothing leaves a core file on this machine"
		return
	fi
	nobody_dumps() { # WHAT READY COMMAND...
		local what=$1 said
		shift
		tried=$((tried + 1))
		if ! said=$(dumps "$@" 2>&1); then
			failed "$what: $said"
		else
			held=$((held + 1))
			passed "$what: $(tail -1 <<<"$said")"
		fi
	}
	export HEARTH_ETC=$R/etc HEARTH_STATE=$R/state HEARTH_RUN=$R/run R
	nobody_dumps "hearthd" "$B/hearth status" unshare --net "$B/hearthd"
	nobody_dumps "hearth-coord" "test -S $R/run/coord.sock" unshare --net "$B/hearth-coord" serve --state "$R/coord" --user root --run "$R/run"
	nobody_dumps "hearth-helper" "test -S $R/run/helper.sock" "$B/hearth-helper" --listen "$R/run/helper.sock" --hosts "$R/hosts"
	nobody_dumps "hearth-wg" 'nsenter --net=/proc/$PID/ns/net ip link show wg7' env WG_PROCESS_FOREGROUND=1 unshare --net --mount sh -c 'mount -t tmpfs none /run; exec "$0" wg7' "$B/hearth-wg"
	mkfifo "$R/token"
	nobody_dumps "enroll-node" "grep -q enroll-node /proc/\$PID/comm && [ -e $R/enrol/.enroll-node.lock ]" env HEARTH_USER=root HEARTH_ETC="$R/enrol" HEARTH_STATE="$R/enrolled" unshare --net "$B/enroll-node" --token-file "$R/token"
	unset HEARTH_ETC HEARTH_STATE HEARTH_RUN
}

scene swapped "keys are swapped to a disk"
swapped() {
	local helper unit
	helper=$(cat "$T/b.helper.pid")
	tried=$((tried + 3))
	is_locked "${pid[b]}" >/dev/null && is_locked "$(cat "$T/coord.pid")" >/dev/null && is_locked "$helper" >/dev/null && held=$((held + 3))
	check "hearthd's memory is locked" is_locked "${pid[b]}"
	check "hearth-coord's memory is locked" is_locked "$(cat "$T/coord.pid")"
	check "hearth-helper's memory is locked" is_locked "$helper"
	for unit in "$HEARTH_SOURCE"/daemon/*/*.service; do
		check "${unit##*/}: LimitCORE=0, LimitMEMLOCK=infinity, MemorySwapMax=0" [ "$(grep -cE '^(LimitCORE=0|LimitMEMLOCK=infinity|MemorySwapMax=0)$' "$unit")" -eq 3 ]
	done
}
