#!/bin/bash
# kube-build.sh - real Kubernetes programs for a cluster of boards, without a release
# server: from Go modules and from Debian packages that are unpacked, not installed.
#
#   kube-build.sh VERSION PROGRAM...          e.g. v1.37.2 kubeadm kubelet; of Kubernetes, or etcd, etcdctl, coredns
#                                             (those that belong to it), containerd (with CNI plugins), runc, pause
#   kube-build.sh mod FILE PACKAGE MODULE@VERSION...
#                                             another main package into FILE (go install refuses
#                                             a module whose go.mod has replace lines)
#   kube-build.sh deb DIR SUITE PACKAGE...    unpack Debian packages of SUITE below DIR
#
# Everything goes to $OUT/VERSION; what is there already is not made again, and nothing is there before it
# is whole. Nobody else may make the same at the same time: tests/prepare, which also knows all that a
# cluster needs, holds a lock. $OUT, $WORK and Go's own GOMODCACHE, GOCACHE, GOPROXY are taken from the environment.
# RUN is put before every build, e.g. RUN="nice -n 5".
# All of it cold: 12 minutes on 2 cores, 2.7 GiB of memory at the peak, several GiB of caches.
set -euo pipefail
OUT=${OUT:-${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}/kube}
WORK=${WORK:-$OUT/work}
CONTAINERD=${CONTAINERD:-v2.4.2}	# only if the package cannot be had
PLUGINS=${PLUGINS:-v1.9.1}		# the same
export GOFLAGS=-mod=mod CGO_ENABLED=0

say() { echo "kube-build: $*" >&2; }
put() { cp "$1" "$(dirname "$2")/.${2##*/}" && mv "$(dirname "$2")/.${2##*/}" "$2"; }	# FROM TO: whole or not at all

# Kubernetes' own go.mod points every k8s.io library at ./staging, which the module does
# not contain.  Here each of them is the published module of the same release instead:
# v1.37.2 goes with v0.37.2.
kubernetes() {
	local v=$1 w=$WORK/$1 x="" p up commit prog
	shift
	for prog; do [ -x "$OUT/$v/$prog" ] || p=todo; done
	[ -n "${p:-}" ] || return 0
	mkdir -p "$w" "$OUT/$v"
	if [ ! -e "$w/go.mod" ]; then
		(cd / && GOFLAGS='' go mod download -json "k8s.io/kubernetes@$v") >"$w/module.json"
		up=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["GoMod"])' "$w/module.json")
		{
			echo "module build.invalid/kube"
			grep -E '^(go|godebug|toolchain) ' "$up" || :
			sed -n '/^godebug (/,/^)/p' "$up"
			echo "require k8s.io/kubernetes $v"
			echo "replace ("
			sed -nE 's#^[[:space:]]*(replace )?(k8s\.io/[a-z0-9-]+) => \./staging/src/.*#\t\2 => \2 v0.'"${v#v1.}"'#p' "$up"
			echo ")"
		} >"$w/go.mod.new"
		mv "$w/go.mod.new" "$w/go.mod"
	fi
	commit=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1])).get("Origin",{}).get("Hash","0"*40))' "$w/module.json")
	for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do	# kubeadm compares versions
		x="$x -X $p.gitVersion=$v -X $p.gitMajor=1 -X $p.gitMinor=$(echo "$v" | cut -d. -f2)"
		x="$x -X $p.gitTreeState=clean -X $p.gitCommit=$commit -X $p.buildDate=1970-01-01T00:00:00Z"
	done
	for prog; do
		[ -x "$OUT/$v/$prog" ] && continue
		say "$prog $v"
		(cd "$w" && ${RUN:-} go build -trimpath -ldflags "-s -w $x" -o "$OUT/$v/.$prog" "k8s.io/kubernetes/cmd/$prog")
		mv "$OUT/$v/.$prog" "$OUT/$v/$prog"
	done
}

module() {
	local file=$1 pkg=$2 d m
	shift 2
	[ -x "$file" ] && return 0
	say "$pkg $*"
	d=$WORK/mod-${file##*/}
	rm -rf "$d"	# of one that was interrupted
	mkdir -p "$d" "$(dirname "$file")"
	(
		cd "$d"
		go mod init build.invalid/x 2>/dev/null
		for m; do go mod edit -require="$m"; done
		${RUN:-} go build -trimpath -ldflags "-s -w" -o "$d/program" "$pkg"
	)
	put "$d/program" "$file"
	rm -rf "$d"
}

# With an apt state of its own: nothing on this machine is changed.  The mirror is the one
# this machine's apt uses; it must carry SUITE, too.
debs() {
	local dir=$1 suite=$2 a=$WORK/apt-$2 uri f
	shift 2
	uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
		awk -v s="$(. /etc/os-release; echo "$VERSION_CODENAME")" '$2==s && $3=="main" {print $1; exit}')
	mkdir -p "$a/lists/partial" "$a/cache/archives/partial" "$dir"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" >"$a/sources.list"
	: >"$a/status"
	f="-qq -o Dir::Etc::sourcelist=$a/sources.list -o Dir::Etc::sourceparts=- -o Dir::State=$a
		-o Dir::State::status=$a/status -o Dir::State::lists=$a/lists -o Dir::Cache=$a/cache
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"
	# shellcheck disable=SC2086  # f is a list of options
	apt-get $f update || return 1
	# shellcheck disable=SC2086
	(cd "$a/cache" && rm -f ./*.deb && apt-get $f download "$@") || return 1
	for f in "$a"/cache/*.deb; do dpkg-deb -x "$f" "$dir"; done
	rm -rf "$a"
}

# containerd 2 (Kubernetes 1.36 and newer talk to nothing older) and the reference CNI plugins; what another
# release of Kubernetes has here is as good
runtime() {
	local o=$1 t=$WORK/sid p
	[ ! -x "$o/containerd" ] || [ ! -x "$o/cni/ptp" ] || return 0
	mkdir -p "$o/cni"
	for p in "$OUT"/v*/containerd; do
		[ -x "$p" ] && [ -x "${p%/*}/cni/ptp" ] || continue
		cp -l "${p%/*}"/cni/* "$o/cni/"
		cp -lf "${p%/*}"/{ctr,containerd-shim-runc-v2,containerd} "$o/"
		return
	done
	if debs "$t" sid containerd containernetworking-plugins && "$t/usr/bin/containerd" --version; then
		for p in "$t"/usr/lib/cni/*; do put "$p" "$o/cni/${p##*/}"; done
		for p in ctr containerd-shim-runc-v2 containerd; do put "$t/usr/bin/$p" "$o/$p"; done
	else
		say "no packages from sid: building containerd and the CNI plugins"
		for p in main/loopback main/bridge ipam/host-local meta/portmap main/ptp; do
			module "$o/cni/${p#*/}" "github.com/containernetworking/plugins/plugins/$p" "github.com/containernetworking/plugins@$PLUGINS"
		done
		for p in ctr containerd-shim-runc-v2 containerd; do
			module "$o/$p" "github.com/containerd/containerd/v2/cmd/$p" "github.com/containerd/containerd/v2@$CONTAINERD"
		done
	fi
	rm -rf "$t"
}

stable_runc() {	# the stable one: sid's needs a newer C library
	local p t=$WORK/stable
	p=$(command -v runc) || { debs "$t" "$(. /etc/os-release; echo "$VERSION_CODENAME")" runc; p=$t/usr/sbin/runc; }
	put "$p" "$1/runc"
	rm -rf "$t"
}

# the process that holds a pod's namespaces; `kubeadm upgrade` first runs a job that only asks for its version
pause() {
	printf '%s\n' '#include <signal.h>' '#include <stdio.h>' '#include <string.h>' '#include <sys/wait.h>' '#include <unistd.h>' \
		'static void bye(int s) { _exit(0); }' \
		'static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }' \
		'int main(int argc, char **argv) {' \
		'if (argc > 1 && !strcmp(argv[1], "-v")) { puts("pause"); return 0; }' \
		'signal(SIGTERM, bye); signal(SIGINT, bye); signal(SIGCHLD, reap); for (;;) pause(); }' |
		cc -xc -O2 -static -o "$1/.pause" -
	mv "$1/.pause" "$1/pause"
}

goes_with() {	# kubeadm says which etcd and CoreDNS belong to it: the version of IMAGE
	kubernetes "$1" kubeadm
	"$OUT/$1/kubeadm" config images list --kubernetes-version "$1" | sed -n "s#.*/$2:v*\\([0-9.]*[0-9]\\).*#v\\1#p"
}

program() {	# VERSION NAME
	local o=$OUT/$1
	mkdir -p "$o"
	[ "$2" = containerd ] || [ ! -x "$o/$2" ] || return 0
	case $2 in
	kube*) kubernetes "$1" "$2" ;;
	etcd) module "$o/etcd" go.etcd.io/etcd/server/v3 "go.etcd.io/etcd/server/v3@$(goes_with "$1" etcd)" ;;
	etcdctl) module "$o/etcdctl" go.etcd.io/etcd/etcdctl/v3 "go.etcd.io/etcd/etcdctl/v3@$(goes_with "$1" etcd)" ;;
	coredns) module "$o/coredns" github.com/coredns/coredns "github.com/coredns/coredns@$(goes_with "$1" coredns)" ;;
	containerd) runtime "$o" ;;
	runc) stable_runc "$o" ;;
	pause) pause "$o" ;;
	*) say "unknown program $2"; return 2 ;;
	esac
}

c=${1:?see the head of this file}
shift
case $c in
mod) module "$(readlink -m "$1")" "${@:2}" ;;
deb) debs "$@" ;;
v1.*) for p; do program "$c" "$p"; done ;;
*) say "unknown command $c"; exit 2 ;;
esac
