/*
 * why-router: which router leads this board out by IPv4: its link address, which no other machine
 * of a network has. Two boards that both have a 192.168.1.1 may be in two houses.
 */
#pragma once

#include "board/links.h"
#include "sys/net/nl.h"
#include "wire/why.h"

/* "02:00:5e:10:00:01"; "": there is none, or it is not known. Looks into the kernel's tables. */
void why_router_find(struct nl *nl, const struct links *links, char ret[static WHY_ROUTER_MAX]);
