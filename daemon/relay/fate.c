/* fate: see fate.h. */
#include "relay/fate.h"

const char *fate_name(enum fate fate)
{
	static const char *const names[FATES] = {
		[FATE_CARRIED] = "carried",
		[FATE_BRIDGED] = "bridged",
		[FATE_BOUND] = "bound",
		[FATE_COOKIE] = "cookie",
		[FATE_STUN] = "stun",
		[FATE_UNREADABLE] = "unreadable",
		[FATE_OVERSIZED] = "oversized",
		[FATE_DENIED] = "denied",
		[FATE_PACED] = "paced",
		[FATE_STRANGER] = "stranger",
		[FATE_FORGED] = "forged",
		[FATE_UNKNOWN] = "unknown",
		[FATE_ELSEWHERE] = "elsewhere",
		[FATE_TO_SELF] = "to_self",
		[FATE_ABSENT] = "absent",
		[FATE_BUFFER_FULL] = "buffer_full",
		[FATE_NOT_SENT] = "not_sent",
	};

	return names[fate];
}
