# shellcheck shell=bash disable=SC2154,SC2016

scene no_plane "the control plane's board is away" long
no_plane() {
	local pod
	pod=$(on pi4-4g-a sh -c 'for n in $(ip netns list | sed -n "s/^\(cni-[^ ]*\).*/\1/p"); do ip -n $n -4 addr | grep -F "inet $0/" >/dev/null && echo $n; done; true' "$(pod_of pi4-4g-a)")
	kube_dns_from() { # BOARD: asked by its pod of the check, without the API server
		on "$1" ip netns exec "$pod" python3 -c '
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
name = b"".join(bytes([len(l)]) + l for l in b"kubernetes.default.svc.cluster.local".split(b".")) + b"\0"
s.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), ("10.96.0.10", 53))
assert b"\x0a\x60\x00\x01" in s.recv(512)'
	}
	check "a pod of pi4-4g-a finds names" soon 30 kube_dns_from pi4-4g-a
	home cut n100
	# of two CoreDNS pods one went with it; kube-proxy still offers both, a resolver asks again
	again() { kube_dns_from pi4-4g-a || kube_dns_from pi4-4g-a || kube_dns_from pi4-4g-a; }
	check "and still does while n100 is without power" soon 30 again
	home on n100 || failed "n100 does not come back"
	check "the cluster is whole again" soon 120 kube_ready
}
