/*
 * derp-load: what its verbs do (derp-load.c says what that is). Each ends the program, with the
 * reason on standard error, when it cannot go on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

enum { LOAD_CLIENTS_MAX = 16384 };

/* Where clients go to, and come from in turn (AF_UNSPEC: from wherever the kernel likes). */
struct load_way {
	struct endpoint to;
	struct ip_prefix from;
};

void load_idle(const struct load_way *way, uint32_t first, uint32_t count, uint32_t at_once);
void load_pair(const struct load_way *way, uint32_t a, uint32_t b, bool floods);
