/*
 * rule: the one routing rule that Hearth makes: what comes in by a link is passed on to nowhere,
 * and the sender is told so (administratively prohibited). What is for this machine is not touched:
 * the kernel's own rule for that comes first. It is about one link, by name, also while there is no
 * such link.
 */
#pragma once

#include "sys/net/nl.h"

enum {
	RULE_PRIORITY = 77, /* before those of VPNs and of the main table */
	RULE_PROTOCOL = 77, /* as ROUTE_PROTOCOL_HEARTH */
};

/* Adds it for both families; that it is there already is fine, and so is a kernel without IPv6. */
int rule_prohibit(struct nl *nl, const char *ifname, struct err *err);

/* Removes it; that there is none is fine. */
int rule_permit(struct nl *nl, const char *ifname, struct err *err);
