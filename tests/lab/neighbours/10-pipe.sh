# shellcheck shell=bash disable=SC2154
# A pipe on stderr that nobody reads: a terminal on hold, a log collector that hangs, a stopped journal.

scene full_pipe "stderr is a pipe that is full"
full_pipe() {
	local heard=$T/b/heard
	stop b
	mkfifo "$T/b/pipe"
	exec 8<>"$T/b/pipe"
	dd if=/dev/zero bs=4k of="$T/b/pipe" oflag=nonblock conv=notrunc 2>/dev/null
	did "b: hearthd starts with a stderr that is full, and says a lot" true
	HEARTH_ETC=$T/b/etc HEARTH_STATE=$T/b/state HEARTH_RUN=$T/b/run HEARTH_LOG=debug ip netns exec "${N}b" "$B/hearthd" 2>"$T/b/pipe" &
	pid[b]=$!
	echo $! >"$T/b.pid"
	right 10 "hearth status answers" ready b
	right 10 "and the mesh is whole" whole
	did "a reader comes" true
	dd if="$T/b/pipe" bs=64k count=1 iflag=nonblock of=/dev/null 2>/dev/null
	timeout 60 cat <"$T/b/pipe" >"$heard" &
	echo $! >"$T/cat.pid"
	kill -HUP "${pid[b]}"
	right 10 "it is told how many lines were lost" grep -aq "lines were lost here" "$heard"
	right 10 "and what comes after" grep -aq "configuration read again" "$heard"
	kill "$(cat "$T/cat.pid")"
	rm -f "$T/cat.pid"
	dd if=/dev/zero bs=4k of="$T/b/pipe" oflag=nonblock conv=notrunc 2>/dev/null
	did "full again, and SIGTERM" kill "${pid[b]}"
	right 5 "it ends" sh -c "! kill -0 ${pid[b]} 2>/dev/null"
	wait "${pid[b]}"
	exec 8>&-
	rm -f "$T/b/pipe"
	start b
	right 10 "the mesh after that" whole
}
