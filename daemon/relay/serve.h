/* serve: `hearth-relay serve`: the running relay; the composition root. */
#pragma once

int serve_run(int argc, char **argv);
