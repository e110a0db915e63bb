# The JSON documents of daemon/PROTOCOL.md sections 2 to 8.
hearth_library(hearth_wire FOLDER wire SOURCES api.c fields.c hosts.c kube.c node.c node-label.c node-name.c
	presence.c record.c settings.c token.c LINK hearth_json hearth_encode)
