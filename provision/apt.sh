# shellcheck shell=bash
# Installs what packages.list names, with apt-get. Sourced by quickstart and tests/run.

APT_PATIENCE=${APT_PATIENCE:-600}	# seconds; a new Ubuntu updates itself in its first minutes and holds apt's locks

apt_listed() {	# KIND...: the names
	awk -v want=" $* " '!/^#/ && index(want, " " $1 " ") { print $2 }' "${BASH_SOURCE[0]%/*}/packages.list" | sort -u
}
apt_missing() {	# KIND...: those that are not installed
	local p
	for p in $(apt_listed "$@"); do
		[[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) == *" installed" ]] || echo "$p"
	done
}
apt_install() {	# PACKAGE...: says what apt-get said if it failed
	local said end=$((SECONDS + APT_PATIENCE)) waiting=
	until said=$(apt-get update -qq 2>&1); do	# of its own locks apt-get waits for dpkg's only
		case $said in
		*/lists/lock*) [ $SECONDS -lt $end ] || { printf '%s\n' "$said"; return 1; } ;;
		*) printf '%s\n' "$said"; return 1 ;;
		esac
		[ -n "$waiting" ] || echo "waiting for another apt-get to end"
		waiting=1
		sleep 2
	done
	said=$(DEBIAN_FRONTEND=noninteractive apt-get -o "DPkg::Lock::Timeout=$APT_PATIENCE" install -y -qq --no-install-recommends "$@" 2>&1) && return
	printf '%s\n' "$said" | tail -40
	return 1
}
