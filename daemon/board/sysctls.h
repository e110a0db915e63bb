/*
 * sysctls: what sysctl.d(5) and sysctl.conf(5) files say: `name = value`, the name with dots or
 * slashes.
 */
#pragma once

#include <stdbool.h>

enum { SYSCTLS_PATH_MAX = 512, SYSCTLS_VALUE_MAX = 64 };

/* One assignment; @name with slashes, as below /proc/sys. False ends the reading. */
typedef bool sysctls_line(void *ctx, const char *name, const char *value);

/* Calls @each for every assignment of @text, which is cut into pieces. False if @each ended it. */
bool sysctls_in_text(char *text, sysctls_line *each, void *ctx);

/*
 * Whether a file of the administrator or of a package gives @name the value @value:
 * @etc/sysctl.conf, @etc/sysctl.d and, if @etc is /etc, the directories of packages. @but is our
 * own file's name. Its path in @ret_path.
 */
bool sysctls_set_by_others(const char *etc, const char *but, const char *name, const char *value,
	char ret_path[static SYSCTLS_PATH_MAX]);

/*
 * What the files make of @name at the next boot, and the path of the one that has the last word:
 * those of sysctl.d by their names, whatever directory they lie in (one in @etc hides those of its
 * name in packages' directories, which are read if @etc is /etc), then @etc/sysctl.conf and, where
 * ufw is on, its own. A name counts more than a pattern. False: none says.
 */
bool sysctls_at_boot(const char *etc, const char *name, char ret_value[static SYSCTLS_VALUE_MAX],
	char ret_path[static SYSCTLS_PATH_MAX]);
