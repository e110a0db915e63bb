# shellcheck shell=bash disable=SC2034,SC2154
# Two houses, a server in the internet, and a laptop that is in none of them, in place of the home of net.sh:
# `home up --away`, `lab_start --away`. Sourced after net.sh and image.sh.
#
#                 internet 203.0.113.0/24, 2001:db8:113::/64                     (namespace inet, .1)
#          |              |                     |                      |
#       vps .10     router .2 (NAT)       house .3 (NAT)         hotel .4 (NAT)
#                         |                     |                      |
#          192.168.50.0/24          192.168.60.0/24            192.168.70.0/24   .1 each; fd50:686f:6d65::/64 ...
#                    |                 |         |                     |
#                n100 .11          pi3 .15   proxy .16            laptop .20
#
# All three routers take a new port for each destination, IPv6 included, and let nothing in: no board behind one is
# ever reached directly from behind another. What the second house's router lets out is said by `net_house`.
BOARDS=(n100 vps pi3)
ALL=(n100 vps pi3 proxy laptop)
ROUTERS=(router house hotel)
NUMBER=([n100]=11 [vps]=10 [pi3]=15 [proxy]=16 [laptop]=20)
ROLE=([n100]=control-plane [vps]=member [pi3]=worker [laptop]=member)
image_use away

lan_of() { case $1 in vps) echo inet ;; n100) echo router ;; pi3 | proxy) echo house ;; laptop) echo hotel ;; esac; }
net_number() { case $1 in router) echo 50 ;; house) echo 60 ;; hotel) echo 70 ;; esac; } # ROUTER
net4_of() { if [ "$1" = inet ]; then echo $WAN4; else echo "192.168.$(net_number "$1")"; fi; }
net6_of() { if [ "$1" = inet ]; then echo $WAN6; else echo "fd$(net_number "$1"):686f:6d65:"; fi; }
lan4_of() { echo "$(net4_of "$(lan_of "$1")").${NUMBER[$1]}"; }
lan6_of() { echo "$(net6_of "$(lan_of "$1")"):${NUMBER[$1]}"; }

# Answers come in, and what was not asked for does not, before it makes a conntrack entry.
net_router() { # NAME [RULES of what goes out; all does]
	in_ns "$1" nft -f - <<-N
		table inet router
		delete table inet router
		table inet router {
			chain input { type filter hook input priority 0;
				iifname "wan" meta l4proto icmpv6 accept
				iifname "wan" ct state { new, invalid } drop
			}
			chain forward { type filter hook forward priority 0;
				ct state established,related accept
				iifname "wan" drop
				${2:-accept}
			}
			chain post { type nat hook postrouting priority srcnat;
				oifname "wan" masquerade random,fully-random
			}
		}
	N
}

# free: all. https: TCP 443. tcp: no UDP. proxy: TCP 443 of the proxy alone, who wants a name and a password.
# Connections of before are cut.
net_house() {
	local rules
	case $1 in
	free) rules=accept ;;
	https) rules='tcp dport 443 accept; counter drop' ;;
	tcp) rules='meta l4proto udp counter drop; accept' ;;
	proxy) rules="ip saddr $(lan4_of proxy) tcp dport 443 accept; counter drop" ;;
	*) die "net_house $1?" ;;
	esac
	net_router house "$rules"
	in_ns house conntrack -F 2>/dev/null
}
# What goes through it now: PROTOCOL SOURCE PORT a line
net_house_flows() {
	local f
	for f in ipv4 ipv6; do in_ns house conntrack -L -f $f 2>/dev/null; done |
		awk '{ s = p = "-"; for (i = NF; i; i--) { if (sub(/^src=/, "", $i)) s = $i; if (sub(/^dport=/, "", $i)) p = $i } print $1, s, p }' | sort -u
}

net_up() {
	local n wan=2
	if net_ns inet; then
		net_bridge inet br0 $WAN4.1 $WAN6:1
	fi
	for n in "${ROUTERS[@]}"; do
		if net_ns "$n"; then
			in_ns "$n" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
			net_bridge "$n" lan "$(net4_of "$n").1" "$(net6_of "$n"):1"
			net_plug inet br0 "$n" wan $WAN4.$wan $WAN6:$wan $WAN4.1 $WAN6:1
			net_router "$n"
		fi
		[ -e "/run/netns/$(netns "$n")" ] || die "no namespace for $n"
		wan=$((wan + 1))
	done
}

net_board() { # BOARD; as in net.sh
	local b=$1 at n bridge=lan
	at=$(lan_of "$b") n=$(netns "$b")
	if [ -e "/run/netns/$n" ]; then
		ip -n "$(netns "$at")" link del "p-${b:0:13}" 2>/dev/null || :
		ip netns del "$n"
	fi
	net_ns "$b"
	[ "$at" != inet ] || bridge=br0
	net_plug "$at" $bridge "$b" eth0 "$(lan4_of "$b")" "$(lan6_of "$b")" "$(net4_of "$at").1" "$(net6_of "$at"):1"
}

# The board as it was when it was bought.
board_anew() { # BOARD
	board_cut "$1"
	board_umount "$1"
	rm -rf --one-file-system "$S/boards/$1"
	board_boot "$1"
}
