/*
 * cnilist: whether pods of this board get their network from Hearth: its list among those that the
 * container runtime reads, and its plugin. Others remove them, or bring a list that comes before
 * it. It only looks; enroll-node writes.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct cnilist {
	const char *dir, *plugin; /* borrowed: where the lists are, the plugin's path */
	bool had_list, had_plugin;
};

/*
 * 0: all is well, or never was: a board that somebody gave another network is no problem. Else a
 * negative errno with what is wrong and what to do.
 */
int cnilist_look(struct cnilist *cni, struct err *err);
