/*
 * codes: the error codes of the CNI specification, and ours from 100 on (hearth-cni(8)). Functions
 * of the plugin that return a code return one of these, 0 for success, with the message in
 * struct err.
 */
#pragma once

enum cni_code {
	CNI_OK = 0,
	CNI_VERSION = 1,           /* this version, or this verb in this version, is not spoken */
	CNI_UNSUPPORTED_FIELD = 2, /* message carries key and value */
	CNI_UNKNOWN_CONTAINER = 3, /* its namespace is gone: nothing to clean up */
	CNI_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_DECODE = 6,
	CNI_CONFIG = 7,
	CNI_NETNS = 8,
	CNI_TRY_LATER = 11,
	CNI_NOT_READY = 50,      /* STATUS: ADD would fail */
	CNI_NOT_READY_MESH = 51, /* STATUS: and running pods have no mesh */
	CNI_KERNEL = 100,        /* the kernel refused a change */
	CNI_NO_ADDRESS = 101,    /* pool exhausted, or a requested address is taken */
	CNI_EXISTS = 102,        /* the interface name is taken, in the pod or here */
	CNI_DIFFERS = 103,       /* CHECK found a difference */
	CNI_GC_INCOMPLETE = 104, /* GC left something, named in the message */
};
