/*
 * lists: a user's list merged into ours (in kubeadm/ only). What a list's elements are known by
 * depends on the field that holds it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* Whether @field must be a list: what v1beta3 wrote as a map is told from a misspelling. */
bool list_is_known(const char *field);

/*
 * Merges @from into the list @into of the field @field; @where is its full name for messages. See
 * kubeadm_merge(). 0, -EINVAL, -ENOMEM.
 */
int list_merge(
	json_t *into, const json_t *from, const char *field, const char *where, struct err *err);
