/*
 * fake-disk: the disk's thread as a test plays it, linked instead of node/disk: what is handed over
 * waits for the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "node/disk.h"

enum { FAKE_DISK_MAX = 12 };

/* Nothing may be on its way any more. */
void fake_disk_reset(void);
size_t fake_disk_waiting(void);

/* Of the oldest one: borrowed until it ends; whether it restores a file that was removed. */
const struct write *fake_disk_next(void);
bool fake_disk_restores(void);
/* It is on the disk (0), or could not be written (-errno). */
void fake_disk_end(int r);
