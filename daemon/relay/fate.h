/*
 * fate: what can become of a datagram that comes to the relay's UDP port, as it is counted.
 */
#pragma once

enum fate {
	/* What a relay is for. */
	FATE_CARRIED, /* DATA that has gone on to whom it is for */
	FATE_BRIDGED, /* DATA that has gone to the queue of whom it is for, at DERP */
	FATE_BOUND,   /* a BIND that bound a member, or keeps it bound */
	FATE_COOKIE,  /* a BIND without the right cookie, answered with it */
	FATE_STUN,    /* a request of STUN, answered */

	/* Dropped, or answered by no more than a hint. */
	FATE_UNREADABLE,  /* no datagram of ours, and none of STUN that is answered */
	FATE_OVERSIZED,   /* DATA that is too long */
	FATE_DENIED,      /* from an address that is not served */
	FATE_PACED,       /* a stranger's, and strangers have been answered enough */
	FATE_STRANGER,    /* a BIND of no member */
	FATE_FORGED,      /* a BIND that does not open, or names another node than its key's */
	FATE_UNKNOWN,     /* DATA of a session that there is not */
	FATE_ELSEWHERE,   /* DATA of a session that is bound to another address */
	FATE_TO_SELF,     /* DATA for its own sender */
	FATE_ABSENT,      /* DATA for a node that is not here */
	FATE_BUFFER_FULL, /* would not fit the send buffer */
	FATE_NOT_SENT,    /* the kernel refused to send it for another reason */
};

enum { FATES = FATE_NOT_SENT + 1 };

/* "carried", "buffer_full" ...: a label of Prometheus. */
const char *fate_name(enum fate fate);
