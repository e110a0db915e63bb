/*
 * descriptors: how many a process may have. What would take them all (connections, clients) is
 * bounded by it, so that there are always some left for files and for whoever comes to look what is
 * wrong.
 */
#pragma once

/*
 * Raises the soft limit (ulimit -n) towards @wanted, as far as the hard one lets it. Returns what
 * holds now.
 */
unsigned descriptors_allow(unsigned wanted);
