foreach(doc api kube-cluster node presence record settings token)
	hearth_fuzz(${doc} SOURCES fuzz-${doc}.c LINK hearth_wire)
endforeach()
