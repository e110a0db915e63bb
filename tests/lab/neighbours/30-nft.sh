# shellcheck shell=bash disable=SC2154
# Somebody else's firewall.

hearth_rules() { in_ns b nft -a list table inet hearth | sed 's/counter packets [0-9]* bytes [0-9]*/counter/'; }
large_change() { # so much news that the socket of those who listen overflows
	for _ in 1 2 3; do
		python3 -c 'print("add table ip big; add set ip big s { type ipv4_addr; };\nadd element ip big s {" + ", ".join("10.%d.%d.%d" % (i >> 16, i >> 8 & 255, i & 255) for i in range(60000)) + "}")' |
			in_ns b nft -f - && in_ns b nft delete table ip big || return
	done
}
same_rules() { diff "$T/rules" <(hearth_rules); }
words() { sed 's/ # handle [0-9]*//'; }
same_words() { diff <(words <"$T/rules") <(hearth_rules | words); } # whatever their handles

scene nft_flood "somebody else's large nft change, of 60,000 addresses"
nft_flood() {
	hearth_rules >"$T/rules"
	did "b: it comes and goes, three times" large_change
	seconds_pass 2	# longer than it would take to put anything back
	check "Hearth's table is the one it was, no rule was put back" same_rules
	logged b 0 "removed rules"
}

scene nft_pieces "somebody removes a piece of Hearth's table"
nft_pieces() {
	hearth_rules >"$T/rules"
	did "b: a chain is flushed" in_ns b nft flush chain inet hearth guard
	right 5 "its rules are back" same_words
	did "b: the table is put to sleep" in_ns b nft add table inet hearth '{ flags dormant; }'
	right 5 "it is awake" same_words
	logged b 2 "somebody removed rules from nftables table inet hearth; putting them back"
}
