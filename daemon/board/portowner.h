/*
 * portowner: whether a TCP or UDP port of this machine is taken, and by which program: so that a
 * person can be told. Reads /proc; root sees everybody's programs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PORTOWNER_TEXT_MAX = 64 };

/*
 * True: somebody listens (TCP) or is bound (UDP) at @port, on any address of either family. Then
 * @ret_who is "nginx (process 812)", or "another program" if that cannot be seen.
 */
bool portowner_find(bool tcp, uint16_t port, char ret_who[static PORTOWNER_TEXT_MAX]);

/*
 * The inode of the socket in @text, of the form of /proc/net/tcp and its three like, that holds
 * @port (@listening: only one in state LISTEN). 0: none. Pure.
 */
uint64_t portowner_inode(const char *text, bool listening, uint16_t port);
