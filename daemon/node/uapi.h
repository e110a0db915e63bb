/*
 * uapi: the subject of the socket by which `wg` speaks with the tunnel. It lies where only root may
 * make it, so hearth-helper does. The mesh does not need it: that it is missing is a line in the
 * log and no problem.
 */
#pragma once

#include "node/core.h"
#include "tunnel/tunnel.h"

struct uapi;

/* @core is borrowed. NULL: out of memory. */
struct uapi *uapi_new(struct core *core);
struct uapi *uapi_free(struct uapi *uapi);

/* Has one made for @tunnel, which is borrowed until uapi_close(). */
void uapi_open(struct uapi *uapi, struct tunnel *tunnel);
/* Before its tunnel is closed. NULL is fine. */
void uapi_close(struct uapi *uapi);

/* Another one, if somebody removed it. Not from within a call to it. */
void uapi_keep(struct uapi *uapi);
/* Again what failed, when its pause is over. */
void uapi_retry(struct uapi *uapi);
/* Without that pause. */
void uapi_hurry(struct uapi *uapi);
