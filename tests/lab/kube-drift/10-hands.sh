# shellcheck shell=bash disable=SC2154,SC2016  # words for sh on a board
# What others do to a board in passing.

# First: the last scene sees to it that --leave undoes it, and enroll-node is not run there again before its token is over.
scene docker "Docker is installed: the policy of FORWARD is DROP"
docker() {
	check "pi3's pod is reached" soon 30 reached pi3
	# what dockerd does to iptables when it starts
	on pi3 sh -c 'for t in iptables ip6tables; do $t -N DOCKER-USER; $t -A DOCKER-USER -j RETURN
		$t -A FORWARD -j DOCKER-USER; $t -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; $t -P FORWARD DROP; done'
	check "then it is not" soon 30 not_reached pi3
	tells pi3 'Docker.*drops.*enroll-node --fix'
	enrolls pi3 "lets pods through" 'done +firewall' --fix
	check "it is reached" soon 30 reached pi3
	tells_no_more pi3 'Docker'
	on pi3 iptables -S DOCKER-USER | quote
	enrolls pi3 "has nothing to do a second time" '^Nothing to do' --fix
}

scene certificate "a kubelet without a serving certificate"
certificate() {
	local said
	on pi3 sh -c 'rm -f /var/lib/kubelet/pki/kubelet-server-* && systemctl restart kubelet'
	refused() { said=$(kube_log_of pi3 2>&1); echo "$said"; [[ $said == *'tls: internal error'* ]]; }
	answers() { kube_log_of pi3 >/dev/null; }
	check "kubectl logs: tls: internal error" soon 40 refused
	check "hearth kube approve --wait" on n100 hearth kube approve --wait=60
	check "kubectl logs and exec work" soon 20 answers
}

scene renamed "boards are renamed after they joined"
renamed() {
	local b
	for b in n100 pi4-4g-a; do # kubeadm wrote kubelet's configuration on the first, kubelet itself on the other
		on n100 hearth node rename $b attic
		tells $b "Kubernetes knows this board as $b,.*hearth node rename attic $b"
		enrolls $b "says so, too" "note +kubeadm +Kubernetes knows this board as $b,.*kubectl delete node $b"
		on n100 hearth node rename attic $b
		tells_no_more $b 'Kubernetes knows this board'
	done
}

scene forwarding "somebody turns forwarding off where pods are"
forwarding() {
	check "pi3's pod is reached" soon 30 reached pi3
	on pi3 sysctl -qw net.ipv4.ip_forward=0
	check "then it is not" soon 30 not_reached pi3
	tells pi3 'forwarding.*sysctl -w net.ipv4.ip_forward=1'
	on pi3 sysctl -qw net.ipv4.ip_forward=1
	check "that done, it is reached" soon 30 reached pi3
	tells_no_more pi3 'switched forwarding off'
}

scene sysctl_file "another file turns forwarding off at the next boot"
sysctl_file() {
	# beside enroll-node's own file; one that sorts behind it and turns it on would have the last word
	on pi4-8g sh -c 'mv /etc/sysctl.d/k8s.conf /root/ && printf "%s\n" "# by the book" net.ipv4.ip_forward=0 >/etc/sysctl.d/99-hardening.conf'
	check "pods are reached all the same, until then" reached pi4-8g
	tells pi4-8g 'next boot: /etc/sysctl.d/99-hardening.conf sets net.ipv4.ip_forward to 0'
	enrolls pi4-8g "says so, too" 'next boot.*99-hardening.conf'
	on pi4-8g sed -i /ip_forward/d /etc/sysctl.d/99-hardening.conf
	tells_no_more pi4-8g 'next boot'
	enrolls pi4-8g "is content" 'ok +forwarding .*now and at every boot'
	on pi4-8g sh -c 'rm /etc/sysctl.d/99-hardening.conf && mv /root/k8s.conf /etc/sysctl.d/'
}

scene ufw "ufw is switched on"
ufw() {
	check "pi4-4g-b's pod is reached" soon 30 reached pi4-4g-b
	on pi4-4g-b ufw --force enable | quote
	check "then it is not" soon 30 not_reached pi4-4g-b
	tells pi4-4g-b 'cut off: ufw drops what is passed on.*enroll-node --fix'
	tells pi4-4g-b 'kubectl logs and exec.*ufw drops what comes in.*enroll-node --fix'
	enrolls pi4-4g-b "lets pods through, and the mesh in" 'done +firewall' --fix
	check "it is reached" soon 30 reached pi4-4g-b
	tells_no_more pi4-4g-b 'ufw'
	on pi4-4g-b ufw status | quote
	check "every pod reaches every pod" kube_pods_reach_pods pi4-4g-b
	check "kubectl logs work" kube_logs pi4-4g-b
	on pi4-4g-b ufw --force reset | quote
}

scene other_list "another CNI configuration comes before ours"
other_list() {
	# what a container engine left
	on pi4-4g-b sh -c 'cp /opt/kube/cni/bridge /opt/kube/cni/host-local /opt/cni/bin/ && cat >/etc/cni/net.d/00-engine.conflist' <<-J
		{"cniVersion": "1.0.0", "name": "engine", "plugins": [{"type": "bridge", "bridge": "engine0", "isGateway": true,
		"ipam": {"type": "host-local", "subnet": "10.88.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}}]}
	J
	tells pi4-4g-b '00-engine.conflist comes before 05-hearth.conflist'
	enrolls pi4-4g-b "says so, too" '00-engine.conflist comes before'
	pod_starts pi4-4g-b stray
	foreign() { local a; a=$(pod_field stray .status.podIP); echo "$a"; [[ $a == 10.88.* ]]; }
	check "a new pod runs, and its address is another's" soon 30 foreign
	engine_is_away() { ! kube_in_pod n100 "curl -sfm 1 $(url "$(pod_field stray .status.podIP)" 8080)busybox -o /dev/null"; }
	check "nobody on another board reaches it" engine_is_away
	check "pods that ran go on" reached pi4-4g-b
	on pi4-4g-b rm /etc/cni/net.d/00-engine.conflist
	pod_starts pi4-4g-b stray
	ours() { local a; a=$(pod_field stray .status.podIP); echo "$a"; [[ $a == 10.244.* ]]; }
	check "that done, the next one has one of ours" soon 30 ours
	tells_no_more pi4-4g-b 'comes before'
	pod_ends stray
	on pi4-4g-b sh -c 'rm /opt/cni/bin/bridge /opt/cni/bin/host-local; ip link del engine0; rm -rf /var/lib/cni/networks/engine'
}

scene kubelet "kubelet is not started as its files say"
kubelet() {
	local ip4
	ip4=$(lan4_of pi4-4g-a)
	internal_ip() { kc get node pi4-4g-a -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'; }
	internal_is() { [ "$(internal_ip)" = "$1" ] || { internal_ip; return 1; }; }
	on pi4-4g-a sed -i "s/^KUBELET_EXTRA_ARGS=.*/& --node-ip=$ip4/" /etc/default/kubelet
	on pi4-4g-a sh -c 'rm /etc/systemd/system/kubelet.service.d/10-hearth.conf; systemctl daemon-reload; systemctl restart kubelet'
	check "the Node gets the address of the LAN, where pods and other houses do not reach it" soon 20 internal_is "$ip4"
	tells pi4-4g-a '/etc/default/kubelet gives it --node-ip'
	on pi4-4g-a sh -c 'sed -i "s/ --node-ip=.*//" /etc/default/kubelet; systemctl restart kubelet'
	check "that done, it is the mesh's again" soon 20 internal_is "$(mesh_address pi4-4g-a 4) $(mesh_address pi4-4g-a 6)"
	tells pi4-4g-a 'kubelet.service.d/10-hearth.conf is not there; .sudo enroll-node. writes it'
	enrolls pi4-4g-a "writes it" 'done '
	tells_no_more pi4-4g-a '10-hearth.conf'
}

scene containerd "containerd's configuration is replaced by that of Docker's package" long
containerd() {
	on pi4-4g-a sh -c 'cp /etc/containerd/config.toml /root/config.toml && echo "disabled_plugins = [\"cri\"]" >/etc/containerd/config.toml && systemctl restart containerd'
	check "the Node is NotReady" soon 90 is_not_ready pi4-4g-a
	condition pi4-4g-a message | quote
	echo
	tells pi4-4g-a 'config.toml switches its plugin cri off'
	check "the pods that ran go on" reached pi4-4g-a
	on pi4-4g-a sh -c 'mv /root/config.toml /etc/containerd/config.toml && systemctl restart containerd'
	check "that done, it is Ready" soon 60 is_ready pi4-4g-a
	tells_no_more pi4-4g-a 'config.toml'
}
