# shellcheck shell=bash disable=SC2154,SC2016
# Addresses of pods: a range that is full, and a runtime that lost its state.

leases() { on "$1" sh -c 'find /run/hearth/cni/hearth -name "10.*" | wc -l'; } # BOARD
leases_are() { local n; n=$(leases "$1"); [ "$n" -eq "$2" ] || { echo "$n leases, not $2"; return 1; }; } # BOARD NUMBER

scene full_range "all addresses of a board are in use" long
full_range() {
	local b=pi4-4g-a n before full
	before=$(leases $b)
	n=$((253 - before))
	# what the plugin goes by when it looks which pods containerd lost
	kept() {
		on $b sh -c 'for c in $(sed -n "s/^container //p" /run/hearth/cni/hearth/hth*); do
			test -d /run/containerd/io.containerd.grpc.v1.cri/sandboxes/$c || { echo "not $c"; exit 1; }; done; ls /run/hearth/cni/hearth/hth*'
	}
	on $b systemctl restart containerd
	check "containerd, started anew, knows every pod that has a lease" kept
	happened() { kc get events -A -o 'jsonpath={range .items[*]}{.reason} {.involvedObject.name} {.count} {.message}{"\n"}{end}' | grep -iE 'evict|NodeNotReady' | sort; }
	happened >"$S/events-before"
	evicted() { happened | comm -23 - "$S/events-before" | grep .; }
	# attachments of one namespace with a process in it, by the plugin that containerd calls
	on $b sh -c 'ip netns add crowd; ip netns exec crowd sleep 1000 & echo $! >/run/crowd.pid'
	on $b python3 - $n <<-'P' || failed "the range is not filled"
		import json, os, subprocess, sys
		from concurrent.futures import ThreadPoolExecutor
		conf = json.load(open("/etc/cni/net.d/05-hearth.conflist"))
		plugin = dict(conf["plugins"][0], name=conf["name"], cniVersion="1.0.0")
		def add(i):
		    env = dict(CNI_COMMAND="ADD", CNI_CONTAINERID="crowd%d" % i, CNI_NETNS="/run/netns/crowd", CNI_IFNAME="e%d" % i, CNI_PATH="/opt/cni/bin")
		    r = subprocess.run(["/opt/cni/bin/hearth"], input=json.dumps(plugin), env=env, capture_output=True, text=True)
		    assert r.returncode == 0, r.stdout
		with ThreadPoolExecutor(4) as pool:
		    list(pool.map(add, range(int(sys.argv[1]))))
	P
	check "253 of 253 are" leases_are $b 253
	full=$SECONDS
	tells $b 'new pods of this board get no address: all of'
	pod_starts $b late
	check "a pod that comes late waits, and kubectl describe says why" soon 30 event_says late 'no IPv4 address for pods is left on this board'
	events late | grep 'no IPv4' | tail -1 | fold -s -w 140 | quote
	pod_waits late || failed "the pod is $(pod_field late .status.phase)"
	# containerd asks for STATUS every five seconds, kubelet looks every ten
	check "the Node stays Ready, for sixteen seconds at least" not until_ok $((full + 16 - SECONDS)) is_not_ready $b
	check "nothing is evicted, no Node was NotReady" not evicted
	check "the pod that has an address is reached" reached $b
	on $b sh -c 'kill $(cat /run/crowd.pid); ip netns del crowd'
	check "its neighbours gone, it starts" soon 60 pod_runs late
	check "and leases are back" soon 60 leases_are $b $((before + 1))
	tells_no_more $b 'no address'
	pod_ends late
	check "the last, too" soon 20 leases_are $b "$before"
}
not() { ! "$@"; }

scene lost_state "containerd's state is wiped under twenty pods" long
lost_state() {
	local b=pi4-8g before began was
	before=$(leases $b)
	many() { # NUMBER
		kc -n default apply -f - >/dev/null <<-Y
			apiVersion: apps/v1
			kind: Deployment
			metadata: {name: many}
			spec:
			  replicas: $1
			  selector: {matchLabels: {app: many}}
			  template:
			    metadata: {labels: {app: many}}
			    spec:
			      nodeName: $b
			      terminationGracePeriodSeconds: 0
			      tolerations: [{operator: Exists}]
			      containers: [{name: c, image: "$BOX", imagePullPolicy: Never, command: [/bin/busybox, sleep, "3600"]}]
		Y
	}
	many 20
	twenty() { kc -n default rollout status --timeout=1s deploy/many; }
	check "twenty pods run" soon 120 twenty
	check "and have addresses" leases_are $b $((before + 20))
	addresses() { kc -n default get pods -l app=many -o 'jsonpath={range .items[?(@.status.phase=="Running")]}{.status.podIP}{"\n"}{end}' | grep . | sort; }
	was=$(addresses)
	new_ones() { addresses >"$S/now" && [ "$(comm -23 "$S/now" <(echo "$was") | wc -l)" -eq 20 ] || { paste <(echo "$was") "$S/now"; return 1; }; }
	# kubelet first, or it starts them while they are killed
	on $b systemctl stop kubelet containerd
	# every process of theirs is killed, and what containerd knew is gone: nobody says DEL
	on $b sh -c 'for n in $(ip netns list | cut -d" " -f1); do ip netns pids $n; done | xargs -r kill -9; pkill -9 -f "^/usr/bin/containerd-shim|^/opt/kube/containerd-shim" || :
		umount -l $(awk "\$2 ~ \"^/run/containerd/\" { print \$2 }" /proc/self/mounts) 2>/dev/null; rm -rf /run/containerd; find /var/lib/containerd -mindepth 1 -delete'
	kube_store_fill $b
	pinned() { [ "$(on $b ip netns list | grep -c ^cni-)" -ge 20 ]; }
	check "their network namespaces are pinned" pinned
	check "and their leases there" leases_are $b $((before + 20))
	on $b systemctl start containerd kubelet
	began=$SECONDS
	check "twenty pods run again, at other addresses" soon 150 new_ones
	echo "          after $((SECONDS - began)) s (printed only)"
	check "leases of those before are back within a minute" soon $((began + 60 - SECONDS)) leases_are $b $((before + 20))
	on $b journalctl -q -u containerd -u kubelet | grep -o 'leases of pods that went without DEL.*' | tail -1 | quote
	check "the node's other pods run, too" soon 60 reached $b
	kc -n default delete deploy many --wait=true --timeout=60s >/dev/null
	check "and with the pods the leases go" soon 60 leases_are $b "$before"
}
