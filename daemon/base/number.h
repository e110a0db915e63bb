/*
 * number: decimal numbers as people and foreign programs write them.
 */
#pragma once

#include <stdint.h>

/*
 * All of @text as decimal digits: no sign, blank or leading zero (but "0"). 0, -EINVAL if it is
 * anything else, -ERANGE if it is less than @min or more than @max.
 */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
