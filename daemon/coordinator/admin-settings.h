/*
 * admin-settings: settings.get, settings.set, see admin.h.
 */
#pragma once

#include "coordinator/coord.h"

void admin_settings_get(struct coord *c, struct ipc_request *request);
void admin_settings_set(struct coord *c, struct ipc_request *request);
