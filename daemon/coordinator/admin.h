/*
 * admin: the calls of the coordinator's local socket (PROTOCOL.md section 9), which `hearth` makes.
 * Whoever may open the socket (root and its group) may make all of them; each is logged with the
 * caller's uid. Times are seconds since 1970, null stands for absent.
 *
 *	status {}
 *	    {"mesh", "version", "urls":[], "pins":[], "root", "records":N, "head":HASH, "nodes":N,
 *	     "connected":N, "connections":N, "refused":N, "tokens":N, "started":T,
 *	     "kube":{"id","expires"}|null, "settings":{...}}
 *	token.create {"role":"worker", "ttl_s":3600, "reusable":false, "relay":false, "tags":[],
 *	              "labels":{}, "name":"pi3"|null, "replace":"pi3"|null}
 *	              (all optional, the first six with these defaults; with "replace" role, tags
 *	              and labels are the node's unless given; with "relay" a board that enrols with
 *	              it may be a relay at once)
 *	    {"token":"hearth1...", "id", "role", "name", "replace", "reusable", "relay", "created",
 *	     "expires", "urls":[]}
 *	token.list {}
 *	    {"tokens":[{"id", "role", "name", "replace", "reusable", "relay", "tags", "labels",
 *	      "created", "expires", "state":"valid|used|expired|revoked", "used_by":[NAME],
 *	      "uses":[{"node","at"}]}]}
 *	token.revoke {"id":ID or its first digits}     {"id", "state"}
 *	node.list {}
 *	    {"nodes":[{the node, section 5, and "connected":bool, "last_seen":T or 0,
 *	      "endpoints":[]}]}
 *	node.remove {"node":NODE, "reason":"..."|absent}           {"id", "name"}
 *	node.rename {"node":NODE, "name":NEW}                      {"id", "name"}
 *	node.label {"node":NODE, "set":{LABEL:VALUE}, "remove":[LABEL]}
 *	    {"id", "name", "changed":bool, "labels":{all it has now}}
 *	settings.get {}
 *	    {"settings":{section 4, as signed}, "automatic":bool, "by_hand":[URL],
 *	     "coordinators":[{"node", "name", "port"}]}
 *	settings.set {"urls":[URL or "automatic"], "stun":["HOST:PORT"], "relays":[section 4]}
 *	              (each that is there replaces the whole list, others stay; "automatic" stands
 *	              for the addresses of this machine, from now on)
 *	    {"changed":bool, and as settings.get}
 *	relay.list {}
 *	    {"relays":[{"id", "name", "state":"serving|asked", "relay":{section 5}}],
 *	     "added":[{"host", "port", "since":T, "node":NAME|null, "problem":"..."|null,
 *	       "state":"trying|waiting|asks|port|checking|recorded"}]}
 *	    (of what was added: trying: no relay keeps our connections there; waiting: one does
 *	    that is none of the mesh's; asks: it is that of a node that asks; port: its record has
 *	    another TCP port; checking: its record will say it in a moment; recorded: it does)
 *	relay.allow {"node":NODE}
 *	    {"id", "name", "changed":bool, "relay":{...}}
 *	    (what it asks for comes into its record; `not_found` if it does not ask and is none)
 *	relay.deny {"node":NODE}
 *	    {"id", "name", "changed":bool, "relay":null}
 *	    (it is none any more, and what it asked for is forgotten; it may ask again)
 *	relay.add {"host":HOST, "port":3340}
 *	    {"host", "port", "changed":bool}
 *	    (connections are kept there; what comes of it, relay.list says)
 *	relay.remove {"host":HOST}
 *	    {"host", "node":NAME|null, "relay":{...}|null}
 *	    (and of the node whose record said it, what that says now)
 *
 * NODE, there and as "replace", is what netmap_find() takes (a name, a full name, a number, an
 * address); there also the number itself.
 *
 * Codes beside those of section 7: `unknown_call`, `unknown_token`, `unknown_node`, `ambiguous`.
 */
#pragma once

#include "sys/ipc/ipc.h"

/* The calls of the local socket: an ipc_handler_fn; @ctx is the coordinator. */
void admin_handle(void *ctx, struct ipc_request *request);
