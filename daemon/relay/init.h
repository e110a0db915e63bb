/*
 * init: `hearth-relay init`: the relay's keys, made once, by its own user. Prints what others have
 * to know of them, as JSON: {"pin", "key"}.
 */
#pragma once

int init_run(int argc, char **argv);
