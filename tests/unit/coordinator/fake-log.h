/*
 * fake-log: what the program says in its log, for a test to read.
 */
#pragma once

#include <stdbool.h>

/* How many lines hold @text, of those since the last fake_log_forget(). */
unsigned fake_log_says(const char *text);
void fake_log_forget(void);
