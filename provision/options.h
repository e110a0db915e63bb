/*
 * options: enroll-node's command line.
 */
#pragma once

#include "provision/enroll.h"

/* Into @e. -1: go on, with operands from optind on; else an exit status, and all was said. */
int options_parse(int argc, char **argv, struct enroll *e);

/* "enroll-node: ...; see enroll-node --help" on stderr. Returns USAGE_STATUS. */
int options_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
