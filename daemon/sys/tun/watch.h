/*
 * watch: tells that something changed which a tunnel's packet path depends on (rtnetlink). The
 * descriptor belongs into the loop that reads it; what changed exactly is looked up by who cares.
 */
#pragma once

enum {
	WATCH_LINK = 1,   /* a link came, went or changed (MTU) */
	WATCH_ROUTES = 2, /* routes or rules changed: other ways out, perhaps */
};

/* A non-blocking descriptor the caller owns, or -errno. */
int watch_open(void);

/*
 * The same for links of all namespaces that have an id in ours (rtnl_namespace_id()). Needs
 * CAP_NET_ADMIN.
 */
int watch_open_everywhere(void);

/* Drains @fd (of a very long queue a part). A mask of the above (all of them when messages were lost), or -errno. */
int watch_read(int fd);
