/*
 * cleanup: release owned locals on every way out, hand them on by taking them.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Frees a heap block: CLEANUP(free_p) char *text = NULL; */
static inline void free_p(void *p)
{
	free(*(void **) p);
}

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd);
}

static inline void fclose_p(FILE **f)
{
	if (*f)
		(void) fclose(*f);
}

/* Returns *@fd and leaves -1 behind, so that its cleanup does nothing. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Returns the pointer and leaves NULL behind: return TAKE(text); */
#define TAKE(p)                         \
	__extension__({                 \
		__typeof__(p) t_ = (p); \
		(p) = NULL;             \
		t_;                     \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
