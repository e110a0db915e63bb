/* The names of what derp.h counts. */
#include "relay/derp.h"

const char *derp_end_name(enum derp_end end)
{
	static const char *const names[DERP_ENDS] = {
		[DERP_END_NOT] = "not",
		[DERP_END_ANSWERED] = "answered",
		[DERP_END_REQUEST] = "bad_request",
		[DERP_END_LOGIN] = "bad_login",
		[DERP_END_STRANGER] = "stranger",
		[DERP_END_FULL] = "full",
		[DERP_END_FRAME] = "bad_frame",
		[DERP_END_SLOW_LOGIN] = "slow_login",
		[DERP_END_SLOW_FRAME] = "slow_frame",
		[DERP_END_STUCK] = "stuck",
		[DERP_END_REPLACED] = "replaced",
		[DERP_END_REMOVED] = "removed",
		[DERP_END_CROWDED] = "crowded",
		[DERP_END_TLS] = "bad_tls",
		[DERP_END_CLOSED] = "closed",
		[DERP_END_MEMORY] = "memory",
	};

	return names[end];
}

const char *derp_drop_name(enum derp_drop why)
{
	static const char *const names[DERP_DROPS] = {
		[DERP_DROP_FULL] = "full",
		[DERP_DROP_SLOW] = "slow",
		[DERP_DROP_STALE] = "stale",
		[DERP_DROP_GONE] = "gone",
		[DERP_DROP_MEMORY] = "memory",
	};

	return names[why];
}
