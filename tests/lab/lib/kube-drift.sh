# shellcheck shell=bash disable=SC2034,SC2154
# Scenes of a running cluster of the five boards (kube-drift/*.sh): somebody changes what it stands on, or its time
# has come; what a person sees before, what is said, what is done, and what is seen after. A scene is a function and its
# title:
#
#     scene sysctl_file "a file turns forwarding off at the next boot" [long]
#
# With `long` it is played by test-kube-drift alone, else by test-cluster, too. The pods of the connectivity check run on
# every board, and each scene leaves the cluster whole, but for the one marked `last`: a board leaves.

declare -A title
scenes=() last=() long=()
scene() { # NAME TITLE [long|last]
	title[$1]=$2
	case ${3:-} in long) long+=("$1") ;; last) last+=("$1") ;; *) scenes+=("$1") ;; esac
}
for file in "$SOURCE"/tests/lab/kube-drift/*.sh; do
	# shellcheck source=/dev/null
	. "$file"
done
play_kube_scenes() { # NAME...
	local s began
	for s; do
		[ -n "${title[$s]:-}" ] || { failed "there is no scene \"$s\"; there are: ${!title[*]}"; return; }
		printf '\n%s: %s\n' "$s" "${title[$s]}"
		began=$SECONDS
		"$s"
		printf '          %s took %d s\n' "$s" $((SECONDS - began))
	done
}

quote() { sed 's/^/          | /'; }

# ---- what a person reads ----

problem() { on "$1" hearth status | holds -E -- "$2" || { on "$1" hearth status | tail -5; return 1; }; } # BOARD PATTERN
no_problem() { ! on "$1" hearth status | grep -E -- "$2"; }
# hearthd looks within a minute by itself, and at once when it is told to.
tells() { # BOARD PATTERN
	on "$1" hearth reload || failed "hearth reload on $1"
	check "hearth status of $1 tells" soon 30 problem "$1" "$2"
	on "$1" hearth status | grep -E -- "$2" | quote
}
tells_no_more() { # BOARD PATTERN
	on "$1" hearth reload || failed "hearth reload on $1"
	check "hearth status of $1 tells no more of it" soon 30 no_problem "$1" "$2"
}
# enroll-node again, as anybody does who was told to, or who wants to know.
enrolls() { # BOARD WHAT PATTERN [OPTION...]
	local b=$1 what=$2 pattern=$3 said
	shift 3
	said=$(on "$b" enroll-node "$@" </dev/null 2>&1) || failed "enroll-node $* on $b: $said"
	if grep -E -- "$pattern" <<<"$said" | cut -c1-300 | quote && holds -E -- "$pattern" <<<"$said"; then
		passed "enroll-node${*:+ $*} $what"
	else
		failed "enroll-node${*:+ $*} $what: $said"
	fi
}
condition() { kc get node "$1" -o "jsonpath={.status.conditions[?(@.type==\"Ready\")].$2}"; } # BOARD FIELD
is_ready() { [ "$(condition "$1" status)" = True ]; }
is_not_ready() { ! is_ready "$1"; }
# Why a pod does not start: what `kubectl describe pod` ends with.
events() { kc -n default get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}'; }
event_says() { events "$1" | holds -E -- "$2" || { events "$1"; return 1; }; } # POD PATTERN

# ---- pods ----

pod_of() { kube_check_pods | awk -v b="$1" '$1 == b { print $2 }'; } # BOARD: the IPv4 address of the check's pod there
reached() { local a; a=$(pod_of "$1") && kube_in_pod "${2:-n100}" "curl -sfm 2 $(url "$a" 8080)"; } # BOARD [FROM]
not_reached() { ! reached "$@"; }
BOX=localhost/hearth-box:1
pod_starts() { # BOARD NAME [FIELD]...: of the pod's specification
	local b=$1 name=$2 f
	shift 2
	pod_ends "$name"
	{
		printf '%s\n' 'apiVersion: v1' 'kind: Pod' "metadata: {name: $name}" 'spec:' "  nodeName: $b" '  terminationGracePeriodSeconds: 1' \
			'  tolerations: [{operator: Exists}]' \
			"  containers: [{name: c, image: \"$BOX\", imagePullPolicy: Never, command: [/bin/busybox, httpd, -f, -p, \"8080\", -h, /bin]}]"
		for f; do echo "  $f"; done
	} | kc -n default apply -f - >/dev/null
}
pod_field() { kc -n default get pod "$1" -o "jsonpath={$2}"; }
pod_runs() { [ "$(pod_field "$1" .status.phase)" = Running ]; }
pod_waits() { [ "$(pod_field "$1" .status.phase)" = Pending ]; }
# And its address is free.
pod_ends() { kc -n default delete pod "$1" --ignore-not-found --wait=true --timeout=60s >/dev/null; }
