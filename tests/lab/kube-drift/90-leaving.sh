# shellcheck shell=bash disable=SC2154,SC2016
# The last scene: a board is taken out, as README says, finds that its token is over, and leaves.

# For a minute only, which the other scenes take.
short_token() {
	check "hearth kube publish --ttl 1" on n100 hearth kube publish --ttl 1
	short_since=$SECONDS
}

scene leaving "a board is taken out of the cluster, its token is over, and it leaves" last
leaving() {
	kubectl() { kc "$@"; }
	check "kubectl drain" kubectl drain pi3 --ignore-daemonsets --delete-emptydir-data --timeout=60s
	refused() { ! on pi3 enroll-node --leave && on pi3 hearth status; }
	check "it does not leave while it is in the cluster" refused
	check "kubectl delete node" kubectl delete node pi3
	check "kubeadm reset" on pi3 kubeadm reset --force
	on pi3 sed -n '/good until/,/another/p' /etc/hearth/kubeadm/join.yaml | quote
	over() { [ $((SECONDS - short_since)) -gt 61 ]; }
	until_ok 62 over || failed "a minute is not over"
	tells pi3 'token in /etc/hearth/kubeadm/join.yaml is over.*hearth kube publish'
	enrolls pi3 "says that the token is over" 'done +bundle .*its token was good until'
	check "and leaves no join.yaml, with which kubeadm would try for ten minutes" on pi3 test ! -e /etc/hearth/kubeadm/join.yaml
	check "hearth kube publish" on n100 hearth kube publish
	check "brings another" soon 20 on pi3 test -e /etc/hearth/kubeadm/join.yaml
	tells_no_more pi3 'is over'
	check "enroll-node --leave" on pi3 enroll-node --leave
	left() { # nothing runs, nothing is routed, no name and no lease is left; the other boards' cluster goes on
		on pi3 sh -c '! ip link show hearth0 && ! nft list table inet hearth && ! grep -q home.internal /etc/hosts &&
			[ -z "$(find /run/hearth/cni /var/lib/hearth /etc/cni/net.d -type f)" ] &&
			! systemctl is-active hearthd hearth-helper.socket hearth-helper && ! systemctl is-enabled hearthd' 2>&1
	}
	check "and nothing is left" left
	docker_as_it_was() { # its own rule only
		local rules
		rules=$(on pi3 iptables -S DOCKER-USER; on pi3 find /etc/systemd/system/docker.service.d -type f)
		[ "$rules" = $'-N DOCKER-USER\n-A DOCKER-USER -j RETURN' ] || { echo "$rules"; return 1; }
	}
	! on pi3 iptables -S DOCKER-USER >/dev/null 2>&1 || check "nor in Docker's firewall" docker_as_it_was
	check "hearth node remove" on n100 hearth node remove pi3
	others_ready() { [ "$(kc get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" -eq 4 ]; }
	check "the other four are Ready" others_ready
}
