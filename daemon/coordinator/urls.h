/*
 * urls: keeps the settings' URLs in step with this machine's addresses, if they are to be found,
 * and leaves alone those that a person set.
 */
#pragma once

#include "coordinator/coord.h"

struct urls;

/* Watches this machine's addresses from now on (when coord->port is known). */
int urls_open(struct coord *coord, struct urls **ret, struct err *err);
struct urls *urls_close(struct urls *urls);
/* @look is called at each look at the addresses, for whom else they concern. */
void urls_on_look(struct urls *urls, void (*look)(void *ctx), void *ctx);
/* Announces those that the settings do not know yet, if they are to be found. */
void urls_refresh(struct coord *coord);
/* Adds them to a copy of the settings. Returns how many: they are its first. */
size_t urls_merge(const struct coord *coord, struct settings *settings);
/*
 * From now on they are to be found or not, as is on the disk already (schema.h: "urls").
 */
void urls_set_found(struct coord *coord, bool found);
/* The decision: @found are this machine's, the best first. They come behind those set by hand. */
size_t urls_add(struct settings *settings, const char (*found)[FIELD_URL_MAX], size_t n);
