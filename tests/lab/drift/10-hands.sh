# shellcheck shell=bash disable=SC2154
# Somebody's hands on what is Hearth's: interface, addresses, routes, firewall.

scene rules_flushed "nft flush ruleset"
rules_flushed() {
	did "b: nft flush ruleset" in_ns b nft flush ruleset
	right 5 "the table is back" in_ns b nft list chain inet hearth postrouting
	logged b 1 "removed rules from nftables table inet hearth"
}
