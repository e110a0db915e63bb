/*
 * stops: what would stop pods of this board, now or after the next boot, and that nobody of Hearth
 * sets without being asked: the one look of enroll-node, which tells it when a board is enrolled,
 * and of hearthd, where each finding is a problem of `hearth status`. It changes nothing, and needs
 * no root.
 */
#pragma once

#include "base/err.h"
#include "board/cnilist.h"
#include "sys/net/nl.h"
#include "sys/nft/forward.h"

enum stop {
	STOP_FORWARDING, /* off, although it was on or pods are there */
	STOP_BOOT,       /* off at the next boot, by a file */
	STOP_DROPPED,    /* the firewall of another tool drops what is passed on */
	STOP_INPUT,      /* or what comes in by the mesh */
	STOP_IPV6,       /* the kernel has none, and kubelet is told of one */
	STOP_CNI,        /* pods get their network from others, or from nobody */
	STOP_DNS,        /* no name server for them */
	STOP_CONTAINERD, /* not set up as kubelet, or the plugin, wants it */
	STOP_KUBELET,    /* arguments that undo what its files say */
	STOPS
};

/* Where to look, and what was seen before. Zero-initialise the rest. */
struct stops {
	const char *etc; /* borrowed: "/etc" */
	const char *own; /* borrowed: "/etc/hearth" */
	struct cnilist cni;
	struct ip_addr mesh4;          /* the board's own */
	struct ip_prefix pods4, pods6; /* of the mesh */
	const char *ifname;            /* borrowed: its interface */
	struct ip_prefix range4, range6;
	bool forwarded4, forwarded6; /* seen to be on */
	bool ahead; /* tell what stops pods before the board is anywhere near having some */
};

/* Each finding with its remedy, one sentence, in its place; code 0: nothing found there. */
void stops_look(struct stops *stops, struct nl *nl, struct err ret[static STOPS]);

/*
 * Whose firewall drops what pods send and get, or what comes in by the mesh: 0 nobody's (or nothing
 * is known), 1 and *ret.
 */
int stops_look_at_firewall(const struct stops *stops, struct nft_forward *ret);

/*
 * The part of it that enrolment itself waits for: whether a file turns forwarding off at the next
 * boot.
 */
int stops_look_at_boot(const char *etc, struct err *ret);
